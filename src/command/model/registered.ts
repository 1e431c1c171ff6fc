import { userInfo } from "node:os";
import { join } from "node:path";
import packageJson from "../../../package.json";
import type { Config } from "../../config.ts";
import { EXIT, type ExitCode } from "../../core/errors.ts";
import { BUILD } from "../../core/executable.ts";
import { locateModel, parseCard } from "../../inference/model.ts";
import { readManifest } from "../../learn/dataset/manifest.ts";
import type { Author } from "../../learn/registry/history.ts";
import { openRegistry } from "../../learn/registry/open.ts";
import type { Registry } from "../../learn/registry/registry.ts";
import { STAGES } from "../../learn/registry/stage.ts";
import type { RegisteredVersion } from "../../learn/registry/state.ts";
import { type Output, UsageError } from "../command.ts";

/** What `keel model` does with the registry. */
export type RegistryAction =
  | "add"
  | "versions"
  | "show"
  | "promote"
  | "rollback"
  | "retire"
  | "alias"
  | "diff"
  | "verify";

export interface RegistryOptions {
  readonly why: string;
  readonly who: string | undefined;
  readonly to: string | undefined;
  readonly parent: string | undefined;
  readonly dataset: string | undefined;
  readonly log: string | undefined;
}

/** @throws UsageError where an argument is missing, KeelError as the registry */
export async function runRegistryAction(
  action: RegistryAction,
  targets: readonly string[],
  options: RegistryOptions,
  config: Config,
  out: Output,
): Promise<ExitCode> {
  if (config.registry === undefined) {
    throw new UsageError(`model ${action}: needs a registry, found no KEEL_REGISTRY`);
  }
  const registry = await openRegistry(config.registry, Date.now, config.stateDir);
  const author: Author = { who: options.who ?? userInfo().username, why: options.why };
  const [first, second] = targets;
  const target = (): string => {
    if (first !== undefined) return first;
    throw new UsageError(`model ${action}: needs a model, found nothing`);
  };
  const moved = (version: RegisteredVersion): ExitCode => {
    out.line(`${version.version} is ${version.stage}`);
    out.result(version);
    return EXIT.ok;
  };
  switch (action) {
    case "add":
      return moved(await add(registry, target(), options, author));
    case "promote":
      return moved(await promote(registry, target(), options.to, author));
    case "retire":
      return moved(await registry.setStage(target(), "retired", author));
    case "rollback":
      return moved(await registry.rollback(author));
    case "alias": {
      await registry.setAlias(target(), second ?? null, author);
      const version = second === undefined ? null : registry.resolve(second);
      out.line(version === null ? `${first} names nothing any more` : `${first} is ${version}`);
      out.result({ alias: first, version });
      return EXIT.ok;
    }
    case "versions": {
      const versions = registry.list();
      for (const { version, stage, aliases, stageSinceMs } of versions) {
        const since = new Date(stageSinceMs).toISOString();
        out.line([version, stage, since, ...aliases].join("  "));
      }
      if (versions.length === 0) out.line("no versions");
      out.result({ registry: registry.name, head: registry.head, versions });
      return EXIT.ok;
    }
    case "show":
      return show(registry, target(), out);
    case "diff": {
      if (second === undefined) throw new UsageError("model diff: needs two versions, found one");
      return diff(registry, target(), second, out);
    }
    case "verify": {
      const problems = await registry.verify();
      for (const { problem } of problems) out.line(problem);
      out.line(
        `${registry.list().length} versions, ${registry.history.length} entries, head ${registry.head}: ${problems.length === 0 ? "all is as it was added" : "not all of it can be used"}`,
      );
      out.result({ head: registry.head, entries: registry.history.length, problems });
      return problems.length === 0 ? EXIT.ok : EXIT.modelRefused;
    }
  }
}

async function add(
  registry: Registry,
  source: string,
  { parent, dataset, log }: RegistryOptions,
  author: Author,
): Promise<RegisteredVersion> {
  const { cardPath, onnxPath } = await locateModel(source);
  const card = await Bun.file(cardPath).bytes();
  const { heads } = parseCard(source, new TextDecoder().decode(card));
  const metrics = Object.fromEntries(
    heads.flatMap(({ name, metrics: scores }) =>
      Object.entries(scores).flatMap(([rows, score]) =>
        Object.entries(score).map(([metric, value]) => [`${rows}/${name}/${metric}`, value] as const),
      ),
    ),
  );
  return registry.add(
    {
      card,
      onnx: await Bun.file(onnxPath).bytes(),
      metrics,
      ...(log === undefined ? {} : { trainingLog: await Bun.file(log).bytes() }),
      lineage: {
        parent: parent === undefined ? registry.champion : registry.resolve(parent),
        dataset: dataset === undefined ? null : readManifest(join(dataset)).digest,
        code: { keel: packageJson.version, commit: BUILD?.commit ?? null },
      },
    },
    author,
  );
}

function promote(
  registry: Registry,
  reference: string,
  to: string | undefined,
  author: Author,
): Promise<RegisteredVersion> {
  if (to === undefined) return registry.promote(reference, author);
  const stage = STAGES.find((each) => each === to);
  if (stage !== undefined) return registry.setStage(reference, stage, author);
  throw new UsageError(`--to: found ${JSON.stringify(to)}, expected one of ${STAGES.join(", ")}`);
}

async function show(registry: Registry, reference: string, out: Output): Promise<ExitCode> {
  const version = registry.resolve(reference);
  const manifest = await registry.manifest(version);
  const standing = registry.list().find((each) => each.version === version);
  const history = registry.history.flatMap(({ entry }) => {
    const { event } = entry;
    const concerned =
      event.kind === "move"
        ? event.moves.some((move) => move.version === version)
        : event.version === version;
    return concerned ? [entry] : [];
  });
  const { lineage } = manifest;
  out.line(`${version}: ${standing?.stage ?? ""}`);
  out.line(`model.onnx  ${manifest.onnxSha256}, ${manifest.onnxBytes} bytes`);
  out.line(`card.json   ${manifest.cardSha256}, version ${manifest.cardVersion}`);
  out.line(`features    ${manifest.schemaHash}; heads ${manifest.heads.join(", ")}`);
  out.line(`made from   ${lineage.parent ?? "nothing"}; dataset ${lineage.dataset ?? "not known"}`);
  out.line(
    `by          keel ${lineage.code.keel}${lineage.code.commit === null ? "" : ` (${lineage.code.commit})`}`,
  );
  for (const { timeMs, who, why, event } of history) {
    const what =
      event.kind === "move"
        ? event.moves.map(({ version: moved, from, to }) => `${moved} ${from} → ${to}`).join(", ")
        : event.kind;
    out.line(`${new Date(timeMs).toISOString()}  ${what}  ${who}: ${why}`);
  }
  out.result({ ...standing, manifest, history });
  return EXIT.ok;
}

async function diff(registry: Registry, a: string, b: string, out: Output): Promise<ExitCode> {
  const [before, after] = [await registry.manifest(a), await registry.manifest(b)];
  const fields = [
    "name",
    "cardVersion",
    "schemaHash",
    "heads",
    "cardSha256",
    "onnxSha256",
    "onnxBytes",
    "lineage",
  ] as const;
  const changed = fields
    .filter((field) => !Bun.deepEquals(before[field], after[field]))
    .map((field) => ({ field, from: before[field], to: after[field] }));
  const names = [...new Set([...Object.keys(before.metrics), ...Object.keys(after.metrics)])].sort();
  const metrics = names
    .map((name) => ({ name, from: before.metrics[name] ?? null, to: after.metrics[name] ?? null }))
    .filter(({ from, to }) => from !== to);
  for (const { field, from, to } of changed) {
    out.line(`${field}: ${JSON.stringify(from)} → ${JSON.stringify(to)}`);
  }
  for (const { name, from, to } of metrics) out.line(`${name}: ${from ?? "–"} → ${to ?? "–"}`);
  if (changed.length + metrics.length === 0) out.line("the same");
  out.result({ changed, metrics });
  return EXIT.ok;
}
