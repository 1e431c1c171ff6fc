import { BadInputError } from "../../core/errors.ts";

/** When a session may be logged on. Minutes are of the local day, days are 0 (Sunday) … 6. */
export type ScheduleRule =
  | {
      readonly kind: "daily";
      readonly startMinute: number;
      /** Not after `startMinute` = it ends on the next day; the same = it is as long as the day. */
      readonly endMinute: number;
      /** Days on which it starts. */
      readonly days: ReadonlySet<number>;
      readonly timeZone: string;
    }
  | {
      readonly kind: "weekly";
      readonly startDay: number;
      readonly startMinute: number;
      readonly endDay: number;
      readonly endMinute: number;
      readonly timeZone: string;
    };

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;
const WEEK_DAYS = 7;
const EXPECTED =
  '"HH:MM-HH:MM [day-day] [time zone]" or "day HH:MM-day HH:MM [time zone]", days sun … sat, e.g. 08:00-17:30 mon-fri Europe/London';

/**
 * Reads a schedule: a session of every day (`08:00-17:30 mon-fri Europe/London`) or one of the week (`sun 17:00-fri 16:00
 * America/New_York`). Without a time zone UTC; without days every day; equal times = the whole day, with a new session at that time.
 *
 * @throws BadInputError when the text is no schedule or the time zone is unknown.
 */
export function parseSchedule(text: string): ScheduleRule {
  const day = `(${DAYS.join("|")})`;
  const time = "([01]\\d|2[0-3]):([0-5]\\d)";
  const zone = "(?:\\s+([A-Za-z][\\w+/-]*))?";
  const daily = new RegExp(`^${time}\\s*-\\s*${time}(?:\\s+${day}(?:-${day})?)?${zone}$`).exec(text.trim());
  const weekly = new RegExp(`^${day}\\s+${time}\\s*-\\s*${day}\\s+${time}${zone}$`).exec(text.trim());
  const minute = (hours: string, minutes: string): number => Number(hours) * 60 + Number(minutes);
  const timeZone = daily?.[7] ?? weekly?.[7] ?? "UTC";
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone });
  } catch {
    throw new BadInputError("FIX session schedule", JSON.stringify(timeZone), "an IANA time zone");
  }
  if (daily !== null) {
    const first = daily[5] === undefined ? 0 : DAYS.indexOf(daily[5]);
    const last = daily[5] === undefined ? WEEK_DAYS - 1 : DAYS.indexOf(daily[6] ?? daily[5]);
    const days = new Set<number>();
    for (let i = first; ; i = (i + 1) % WEEK_DAYS) {
      days.add(i);
      if (i === last) break;
    }
    return {
      kind: "daily",
      startMinute: minute(daily[1], daily[2]),
      endMinute: minute(daily[3], daily[4]),
      days,
      timeZone,
    };
  }
  if (weekly === null) throw new BadInputError("FIX session schedule", JSON.stringify(text), EXPECTED);
  return {
    kind: "weekly",
    startDay: DAYS.indexOf(weekly[1]),
    startMinute: minute(weekly[2], weekly[3]),
    endDay: DAYS.indexOf(weekly[4]),
    endMinute: minute(weekly[5], weekly[6]),
    timeZone,
  };
}

/**
 * Tells in which session of its schedule a time lies. A wall-clock time that a time zone skips when its clocks go forward is
 * taken as the one an hour later, one that it has twice as the first.
 */
export class Schedule {
  readonly #rule: ScheduleRule;
  readonly #format: Intl.DateTimeFormat;
  /** The answer holds in `[fromMs, untilMs)`. */
  #fromMs = Number.POSITIVE_INFINITY;
  #untilMs = Number.NEGATIVE_INFINITY;
  #startMs = Number.NaN;

  constructor(rule: ScheduleRule) {
    this.#rule = rule;
    this.#format = new Intl.DateTimeFormat("en-GB", {
      timeZone: rule.timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  isOpen(timeUs: number): boolean {
    return !Number.isNaN(this.sessionStartUs(timeUs));
  }

  /** When the session began in which the time lies, in µs since the epoch; NaN outside of sessions. */
  sessionStartUs(timeUs: number): number {
    const ms = timeUs / 1_000;
    if (ms < this.#fromMs || ms >= this.#untilMs) this.#find(ms);
    return this.#startMs * 1_000;
  }

  #find(ms: number): void {
    const localDay = Math.floor(this.#localMs(ms) / (DAY_MINUTES * MINUTE_MS));
    let previousEndMs = Number.NEGATIVE_INFINITY;
    for (let day = localDay - WEEK_DAYS - 1; day <= localDay + WEEK_DAYS + 1; day += 1) {
      const lengthDays = this.#lengthDays(day);
      if (lengthDays < 0) continue;
      const startMs = this.#utcMs(day, this.#rule.startMinute);
      const endMs = this.#utcMs(day + lengthDays, this.#rule.endMinute);
      if (ms < startMs) {
        this.#remember(Number.NaN, previousEndMs, startMs);
        return;
      }
      if (ms < endMs) {
        this.#remember(startMs, startMs, endMs);
        return;
      }
      previousEndMs = endMs;
    }
  }

  #remember(startMs: number, fromMs: number, untilMs: number): void {
    this.#startMs = startMs;
    this.#fromMs = fromMs;
    this.#untilMs = untilMs;
  }

  /** Midnights between start and end of the session that starts on this day; −1 when none does. */
  #lengthDays(day: number): number {
    const rule = this.#rule;
    const weekday = (((day + 4) % WEEK_DAYS) + WEEK_DAYS) % WEEK_DAYS;
    if (rule.kind === "daily") {
      if (!rule.days.has(weekday)) return -1;
      return rule.endMinute > rule.startMinute ? 0 : 1;
    }
    if (weekday !== rule.startDay) return -1;
    const days = (rule.endDay - rule.startDay + WEEK_DAYS) % WEEK_DAYS;
    return days === 0 && rule.endMinute <= rule.startMinute ? WEEK_DAYS : days;
  }

  /** Local wall-clock time as if it were UTC. */
  #localMs(ms: number): number {
    const part: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of this.#format.formatToParts(ms)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second);
  }

  #utcMs(day: number, minute: number): number {
    const local = (day * DAY_MINUTES + minute) * MINUTE_MS;
    const before = this.#localMs(local - DAY_MINUTES * MINUTE_MS) - (local - DAY_MINUTES * MINUTE_MS);
    const early = local - before;
    if (this.#localMs(early) === local) return early;
    const after = this.#localMs(local + DAY_MINUTES * MINUTE_MS) - (local + DAY_MINUTES * MINUTE_MS);
    const late = local - after;
    return this.#localMs(late) === local ? late : early;
  }
}
