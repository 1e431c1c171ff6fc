import { BadInputError } from "../core/errors.ts";
import { AddressList } from "../gateway/fix/address-list.ts";
import { Misfit, type ValueType, valueType } from "./types.ts";

const CLIENTS_MAX = 256;

export type BeginString = "FIX.4.2" | "FIX.4.4";

/** A FIX client as it is listed. */
export interface ListedClient {
  readonly compId: string;
  /** Left out: the version of all. */
  readonly version?: BeginString;
}

/** Comp ids of clients, separated by commas, each once; `COMPID@FIX.4.2` where a client speaks another version than the rest. */
export const clientList: ValueType<readonly ListedClient[]> = valueType("FIX identifier,…", "", (text) => {
  const clients = text.split(",").map((entry): ListedClient => {
    const [, compId = "", version] = /^(.*?)(?:@(FIX\.4\.[24]))?$/.exec(entry.trim()) ?? [];
    return version === "FIX.4.2" || version === "FIX.4.4" ? { compId, version } : { compId };
  });
  if (clients.some(({ compId }) => !/^[\x21-\x2b\x2d-\x7e]{1,64}$/.test(compId))) {
    return new Misfit("FIX identifiers without spaces, separated by commas");
  }
  if (new Set(clients.map(({ compId }) => compId)).size !== clients.length) {
    return new Misfit("each identifier once");
  }
  return clients.length > CLIENTS_MAX ? new Misfit(`at most ${CLIENTS_MAX} identifiers`) : clients;
});

/** Origins of web pages, separated by commas, as browsers spell them: scheme, host, and a port that is not the scheme's own. */
export const originList: ValueType<readonly string[]> = valueType("origin,…", "", (text) => {
  const origins = text.split(",").map((entry) => entry.trim());
  const isOrigin = (entry: string): boolean => URL.canParse(entry) && new URL(entry).origin === entry;
  return origins.every(isOrigin) ? origins : new Misfit("origins such as https://desk.example:8443");
});

/** IP addresses and CIDR blocks, separated by commas. */
export const addressList: ValueType<AddressList> = valueType("address or CIDR block,…", "", (text) => {
  try {
    return new AddressList(text.split(",").map((entry) => entry.trim()));
  } catch (error) {
    const expected = "IP addresses and CIDR blocks, separated by commas";
    return new Misfit(error instanceof BadInputError ? `${expected}, in place of ${error.found}` : expected);
  }
});
