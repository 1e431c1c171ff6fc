import { EXIT } from "../core/errors.ts";
import { defineCommand, type NumberOption, UsageError } from "./command.ts";

const probability = (description: string): NumberOption & { readonly default: number } => ({
  type: "number",
  value: "P",
  min: 0,
  max: 1,
  default: 0,
  description,
});

export const explain = defineCommand({
  name: "explain",
  summary: "Show what a prediction makes of a quote, and why; or a quote that stands or was sent",
  usage: "[--down P … | --url URL … | --journal DIR …]",
  details:
    "Quotes one option through the policy and the quoter that run in production, with the quoting parameters of the environment: " +
    "once calm and once under the given prediction. Every part of the quote is listed with its reason.\n\n" +
    "With --url the standing quotes of a running process (its KEEL_HTTP address), with --journal a quote by its QuoteEntryID: each " +
    "with every term that made it, as it was when it was sent.\n\n" +
    "With --json: widenBp (added to the half-spread, bp of the underlying's price per unit of |delta|), sizeFactor, reasons, " +
    "parts, and both quotes; of standing or recorded quotes: quotes (prices, sizes, reasons, terms, sizes, greeks).",
  options: {
    down: probability("Probability of a significant fall within 50 ms"),
    up: probability("Probability of a significant rise within 50 ms"),
    "down-100": probability("Probability of a significant fall within 100 ms"),
    "up-100": probability("Probability of a significant rise within 100 ms"),
    "withdraw-bid": probability("Probability that 20 % of the bids are withdrawn within 50 ms"),
    "withdraw-ask": probability("Probability that 20 % of the asks are withdrawn within 50 ms"),
    "vol-spike": probability("Probability of a volatility spike"),
    underlying: {
      type: "number",
      value: "PRICE",
      min: 0.01,
      max: 1e9,
      default: 60_000,
      description: "Forward price of the underlying",
    },
    delta: {
      type: "number",
      min: -0.99,
      max: 0.99,
      default: 0.5,
      description: "Delta of the option; negative for a put",
    },
    days: { type: "number", min: 0.05, max: 3_650, default: 7, description: "Days to expiry" },
    iv: {
      type: "number",
      value: "FRACTION",
      min: 0.01,
      max: 5,
      default: 0.5,
      description: "Implied volatility",
    },
    position: {
      type: "number",
      value: "LOTS",
      integer: true,
      min: -1e9,
      max: 1e9,
      default: 0,
      description: "Position already held, of 0.1 coin a lot",
    },
    url: {
      type: "string",
      value: "URL",
      description: "A running process, as http://127.0.0.1:9464 or unix:/path",
    },
    instrument: { type: "string", value: "SYMBOL", description: "With --url: the instrument" },
    journal: { type: "string", value: "DIR", description: "A journal's folder" },
    run: { type: "string", value: "ID", description: "With --journal: the run; the latest when left out" },
    quote: {
      type: "number",
      value: "ID",
      integer: true,
      min: 1,
      description: "With --journal: the quote's QuoteEntryID",
    },
  },
  environment: true,
  async run({ options, config, log, out }) {
    if (options.url !== undefined) {
      if (options.instrument === undefined) throw new UsageError("explain: --url needs --instrument SYMBOL");
      const { standingQuotes } = await import("./explain/standing.ts");
      const { quoteReportLines } = await import("../quote/quote-report.ts");
      const { RunningProcess } = await import("./running-process.ts");
      const quotes = await standingQuotes(new RunningProcess(options.url, config), options.instrument);
      for (const quote of quotes) for (const line of quoteReportLines(quote)) out.line(line);
      out.result({ quotes });
      return EXIT.ok;
    }
    if (options.journal !== undefined) {
      if (options.quote === undefined) throw new UsageError("explain: --journal needs --quote ID");
      const { recordedQuote } = await import("./explain/recorded.ts");
      const { quoteReportLines } = await import("../quote/quote-report.ts");
      const { quote, timeUs, probabilities } = await recordedQuote(
        options.journal,
        options.run,
        options.quote,
        (line) => log.warn(line),
      );
      out.line(`sent ${new Date(timeUs / 1_000).toISOString()}`);
      for (const line of quoteReportLines(quote)) out.line(line);
      if (probabilities.length > 0) {
        out.line(`probabilities: ${probabilities.map((p) => p.toFixed(3)).join(", ")}`);
      }
      out.result({ quotes: [quote], timeUs, probabilities });
      return EXIT.ok;
    }
    const { explainQuote } = await import("../quote/explanation.ts");
    const explanation = explainQuote(
      {
        probabilities: {
          down50: options.down,
          down100: options["down-100"],
          up50: options.up,
          up100: options["up-100"],
          bidWithdraw50: options["withdraw-bid"],
          askWithdraw50: options["withdraw-ask"],
          volatilitySpike: options["vol-spike"],
        },
        underlyingPrice: options.underlying,
        delta: options.delta,
        days: options.days,
        volatility: options.iv,
        positionLots: options.position,
      },
      config.quote,
    );
    const { option, calm, quote } = explanation;
    out.line(
      `${option.type} strike ${option.strike}, forward ${option.forward}, ${option.days} days, iv ${option.impliedVolatility}, ` +
        `delta ${option.delta.toFixed(3)}, fair ${quote.fair.toFixed(6)}`,
    );
    out.line();
    for (const [name, shown] of [
      ["calm", calm],
      ["predicted", quote],
    ] as const) {
      out.line(
        `${name.padEnd(10)} bid ${shown.bidSize} @ ${shown.bid}   ask ${shown.askSize} @ ${shown.ask}`,
      );
    }
    out.line();
    out.line(`widened by ${explanation.widenBp} bp, size × ${explanation.sizeFactor}`);
    for (const part of explanation.parts) {
      out.line(`  ${part.part.padEnd(14)} ${part.amount.padStart(22)}   ${part.why}`);
    }
    out.line();
    out.line(`reasons: ${explanation.reasons.join(", ")}`);
    out.result(explanation);
    return EXIT.ok;
  },
});
