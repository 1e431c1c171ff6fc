import { addressList, clientList, originList } from "./client-types.ts";
import { integerIn, listenAddress, oneOf, path, secretFile, word } from "./types.ts";
import { variable } from "./variable.ts";

/** Those who come to us: FIX clients that ask for quotes, and in-house systems over the JSON gateway. */
export const CLIENT_VARIABLES = {
  KEEL_FIX_ACCEPT: variable(
    listenAddress,
    "off",
    "Where FIX clients log on to ask for quotes and to subscribe to ours",
  ),
  KEEL_FIX_ACCEPT_CLIENTS: variable(
    clientList,
    null,
    "SenderCompIDs (49) of the clients that may log on; `COMPID@FIX.4.2` where one speaks another version than the rest",
  ),
  KEEL_FIX_ACCEPT_COMP_ID: variable(word("FIX identifier"), "KEEL", "Our SenderCompID (49) towards clients"),
  KEEL_FIX_ACCEPT_VERSION: variable(
    oneOf("FIX.4.2", "FIX.4.4"),
    "FIX.4.4",
    "Protocol version of clients that are listed without one",
  ),
  KEEL_FIX_ACCEPT_PASSWORDS_FILE: variable(
    secretFile,
    null,
    "File with a line `COMPID USERNAME PASSWORD` for each client, which its logon must then have in 553 and 554",
  ),
  KEEL_FIX_ACCEPT_ALLOW: variable(
    addressList,
    null,
    "Addresses from which clients may connect; without it any",
  ),
  KEEL_FIX_ACCEPT_TLS_CERT_FILE: variable(
    path,
    null,
    "Our certificate (PEM) towards clients; without it plain TCP",
  ),
  KEEL_FIX_ACCEPT_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  KEEL_FIX_ACCEPT_TLS_CLIENT_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for clients; with it every client must present one",
  ),
  KEEL_FIX_ACCEPT_MAX_MESSAGES_PER_SECOND: variable(
    integerIn(1, 1_000_000),
    "200",
    "A client that sends more is logged out",
  ),
  KEEL_FIX_ACCEPT_MAX_CONNECTIONS_PER_ADDRESS: variable(
    integerIn(1, 256),
    "8",
    "Connections from one address at a time",
  ),
  KEEL_API: variable(listenAddress, "off", "Where the JSON gateway for in-house systems is served"),
  KEEL_API_TOKENS_FILE: variable(
    secretFile,
    null,
    "File with a line `NAME read TOKEN` or `NAME trade TOKEN` for each client of the JSON gateway",
  ),
  KEEL_API_TLS_CERT_FILE: variable(
    path,
    null,
    "Our certificate (PEM) on the JSON gateway; without it plain TCP",
  ),
  KEEL_API_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  KEEL_API_TLS_CLIENT_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for clients of the JSON gateway; with it every client must present one",
  ),
  KEEL_API_ORIGINS: variable(
    originList,
    null,
    "Origins of web pages that may connect to the JSON gateway; without it none",
  ),
  KEEL_API_MAX_CONNECTIONS: variable(integerIn(1, 4_096), "64", "Connections of the JSON gateway at a time"),
  KEEL_API_MAX_CONNECTIONS_PER_CLIENT: variable(
    integerIn(1, 4_096),
    "4",
    "Connections of one client of the JSON gateway at a time",
  ),
  KEEL_API_MAX_MESSAGES_PER_SECOND: variable(
    integerIn(1, 100_000),
    "100",
    "Messages that a connection of the JSON gateway may send; one that sends more is closed",
  ),
  KEEL_API_MAX_SUBSCRIPTIONS: variable(
    integerIn(1, 100_000),
    "1024",
    "Names that a connection of the JSON gateway may subscribe to",
  ),
  KEEL_API_MAX_BUFFER_KB: variable(
    integerIn(16, 65_536),
    "1024",
    "Bytes that may wait for a connection of the JSON gateway; one that reads slower is closed",
    "KiB",
  ),
} as const;
