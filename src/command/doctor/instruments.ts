import type { ConfiguredEndpoint } from "../../config.ts";
import { firstLines } from "../../feed/lines.ts";
import { isRelayed } from "../../feed/relay/subscription.ts";
import type { VenueName } from "../../market/instrument.ts";
import { type Check, type Finding, findings, within } from "./check.ts";
import { type Inquiry, type Listing, LOOKUPS } from "./listings.ts";

/** Answers that are one: found, and the ways in which venues say that there is no such thing. */
const ANSWERS: ReadonlySet<number> = new Set([200, 400, 404]);

/** Every subscription of `KEEL_FEEDS` is an instrument, or some, that the venue lists. */
export const instruments: Check = {
  area: "feed",
  async run({ config, offline }) {
    if (offline) return [];
    const perVenue = firstLines(config.feeds).map(async ({ venue, subscriptions }): Promise<Finding[]> => {
      if (subscriptions.every(isRelayed)) return [];
      const inquiry = inquire(config.endpoints[venue], config.timeouts.requestMs);
      return report(venue, await LOOKUPS[venue](subscriptions, inquiry));
    });
    return (await Promise.all(perVenue)).flat();
  },
};

function report(venue: VenueName, listing: Listing): Finding[] {
  const { ok, fail } = findings("feed");
  const subject = `${venue} instruments`;
  const unknown = [...listing].filter(([, count]) => count === 0).map(([name]) => name);
  if (unknown.length > 0) {
    return [fail(subject, `not listed by the venue: ${unknown.join(", ")}`, "correct KEEL_FEEDS")];
  }
  const total = [...listing.values()].reduce((sum, count) => sum + count, 0);
  return total === 0 ? [] : [ok(subject, `${total} listed for ${[...listing.keys()].join(", ")}`)];
}

function inquire({ restUrl, webSocketUrl }: ConfiguredEndpoint, timeoutMs: number): Inquiry {
  return {
    async get(path) {
      try {
        const signal = AbortSignal.timeout(timeoutMs);
        const response = await within(timeoutMs, "HTTP", fetch(restUrl + path, { signal }));
        const body = await within(timeoutMs, "HTTP", response.text());
        return ANSWERS.has(response.status) ? { status: response.status, body } : null;
      } catch {
        return null;
      }
    },
    hear: (message, wanted) => hear(webSocketUrl, message, wanted, timeoutMs),
  };
}

async function hear(
  url: string,
  message: string,
  wanted: (frame: string) => boolean,
  timeoutMs: number,
): Promise<string | null> {
  const socket = new WebSocket(url);
  const heard = new Promise<string | null>((resolve) => {
    socket.onopen = () => socket.send(message);
    socket.onclose = () => resolve(null);
    socket.onmessage = ({ data }) => {
      if (typeof data === "string" && wanted(data)) resolve(data);
    };
  });
  try {
    return await within(timeoutMs, "WebSocket", heard);
  } catch {
    return null;
  } finally {
    socket.terminate();
  }
}
