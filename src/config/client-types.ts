import { BadInputError } from "../core/errors.ts";
import { AddressList } from "../gateway/fix/address-list.ts";
import { Misfit, type ValueType, valueType } from "./types.ts";

const CLIENTS_MAX = 256;

/** Comp ids of clients, separated by commas, each once. */
export const compIdList: ValueType<readonly string[]> = valueType("FIX identifier,…", "", (text) => {
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => !/^[\x21-\x2b\x2d-\x7e]{1,64}$/.test(name))) {
    return new Misfit("FIX identifiers without spaces, separated by commas");
  }
  if (new Set(names).size !== names.length) return new Misfit("each identifier once");
  return names.length > CLIENTS_MAX ? new Misfit(`at most ${CLIENTS_MAX} identifiers`) : names;
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
