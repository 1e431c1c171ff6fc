import { fixSchedule, fixValidation } from "./fix-types.ts";
import { flag, integerIn, oneOf, path, secretFile, word } from "./types.ts";
import { variable } from "./variable.ts";

/** The FIX session with the counterparty. */
export const FIX_VARIABLES = {
  KEEL_FIX_HOST: variable(
    word("host name or address"),
    null,
    "FIX counterparty; without it quotes go to a paper counterparty on this host",
  ),
  KEEL_FIX_PORT: variable(integerIn(1, 65_535), "9878", "Its TCP port"),
  KEEL_FIX_VERSION: variable(oneOf("FIX.4.2", "FIX.4.4"), "FIX.4.4", "Protocol version"),
  KEEL_FIX_SENDER_COMP_ID: variable(word("FIX identifier"), "KEEL", "Our SenderCompID (49)"),
  KEEL_FIX_TARGET_COMP_ID: variable(
    word("FIX identifier"),
    "COUNTERPARTY",
    "The counterparty's, our TargetCompID (56)",
  ),
  KEEL_FIX_USERNAME: variable(word("text without spaces"), null, "Username (553) of the logon"),
  KEEL_FIX_PASSWORD_FILE: variable(secretFile, null, "File with the Password (554) of the logon"),
  KEEL_FIX_HEARTBEAT_SECONDS: variable(integerIn(1, 3_600), "30", "HeartBtInt (108)", "s"),
  KEEL_FIX_RESET_ON_LOGON: variable(
    flag,
    "off",
    "Start both sequences at 1 with every logon (141=Y); not for one of a pair, which would lose fills",
  ),
  KEEL_FIX_STORE_DIR: variable(
    path,
    null,
    "Sequence numbers and sent messages; default `fix` in the state directory",
  ),
  KEEL_FIX_LOGON_TIMEOUT_MS: variable(
    integerIn(100, 120_000),
    "10000",
    "Wait for the answer to a logon",
    "ms",
  ),
  KEEL_FIX_NEXT_EXPECTED: variable(
    flag,
    "off",
    "Exchange NextExpectedMsgSeqNum (789) at the logon in place of resend requests; FIX.4.4 only",
  ),
  KEEL_FIX_SCHEDULE: variable(
    fixSchedule,
    "always",
    "When the session is logged on, e.g. `08:00-17:30 mon-fri Europe/London` or `sun 17:00-fri 16:00 America/New_York`; each time both sequences start at 1",
  ),
  KEEL_FIX_VALIDATION: variable(
    fixValidation,
    "off",
    "What is checked of the fields of received messages; `all` or some of `required`, `values`, `unknown`, `user-defined`, `groups`, `order`",
  ),
  KEEL_FIX_SENDING_TIME_TOLERANCE_MS: variable(
    integerIn(1, 86_400_000),
    "120000",
    "SendingTime (52) of received messages may be this far from the clock, either way",
    "ms",
  ),
  KEEL_FIX_MAX_MESSAGE_KB: variable(
    integerIn(4, 1_024),
    "64",
    "Longer messages are garbled, in both directions",
    "KiB",
  ),
  KEEL_FIX_MAX_MESSAGES_PER_SECOND: variable(
    integerIn(10, 1_000_000),
    "50000",
    "A counterparty that sends more is logged out",
  ),
  KEEL_FIX_MESSAGE_LOG_DIR: variable(
    path,
    null,
    "Every message as a readable line, without secrets; without it there is no such log",
  ),
  KEEL_FIX_TLS: variable(flag, "off", "TLS to the counterparty, whose certificate is verified"),
  KEEL_FIX_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for the counterparty's; default: those that Bun knows",
  ),
  KEEL_FIX_TLS_SERVER_NAME: variable(
    word("host name"),
    null,
    "Name in the counterparty's certificate; default KEEL_FIX_HOST",
  ),
  KEEL_FIX_TLS_CERT_FILE: variable(path, null, "Our certificate (PEM), for a counterparty that asks for one"),
  KEEL_FIX_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
} as const;
