/** Exit codes of the executable; documented in `docs/reference.md`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  badConfiguration: 2,
  unreachable: 3,
  deviceUnavailable: 4,
  modelRefused: 5,
  badInputFile: 6,
} as const;

/** For people, in the manual and in `docs/reference.md`. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "Done, or stopped in order by a signal",
  failed: "Failed: a check, a comparison, or an error without a code of its own",
  badConfiguration: "A bad command line or environment; nothing was started",
  unreachable: "A venue or counterparty that is needed cannot be reached",
  deviceUnavailable: "The device that `KEEL_DEVICE` names cannot start",
  modelRefused: "The model may not be used: wrong schema, digest, shapes or operators",
  badInputFile: "A capture, journal or other file does not have the form it must have",
};

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An error that operation brings. `code` is stable and machine-readable; the message names what, where and what was expected. */
export class KeelError extends Error {
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, exitCode: ExitCode = EXIT.failed) {
    super(message);
    this.name = this.constructor.name;
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** A file, frame or message that does not have the form it must have. */
export class BadInputError extends KeelError {
  readonly found: string;
  readonly expected: string;

  constructor(where: string, found: string, expected: string) {
    super("bad-input", `${where}: found ${found}, expected ${expected}`, EXIT.badInputFile);
    this.found = found;
    this.expected = expected;
  }
}

/** An engine or device that cannot start; the message names what is missing and how to supply it. */
export class DeviceUnavailableError extends KeelError {
  /** Why, for where the device is named already. */
  readonly reason: string;

  constructor(device: string, reason: string) {
    super("device-unavailable", `${device}: ${reason}`, EXIT.deviceUnavailable);
    this.reason = reason;
  }
}

/** A model that may not be used: wrong schema hash, digest, shapes or operators. */
export class ModelRefusedError extends KeelError {
  constructor(model: string, found: string, expected: string) {
    super("model-refused", `model ${model}: found ${found}, expected ${expected}`, EXIT.modelRefused);
  }
}
