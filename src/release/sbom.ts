import * as CycloneDX from "@cyclonedx/cyclonedx-library";
import type { EmbeddedFile } from "../core/executable.ts";
import type { BundledPackage } from "./packages.ts";
import { BUN_HOMEPAGE, BUN_LICENSE, LINKED_IN_BUN } from "./runtime.ts";

const { Models, Enums, Serialize, Spec, Validation } = CycloneDX;

export interface BillSubject {
  readonly version: string;
  readonly commit: string | null;
  /** ISO 8601; the bill is of this time, so that it comes out the same for the same commit. */
  readonly date: string | null;
  readonly bun: string;
  /** Hex, of the executable. */
  readonly sha256: string;
  readonly packages: readonly BundledPackage[];
  readonly embedded: readonly EmbeddedFile[];
}

/** The bill of materials as CycloneDX 1.6 JSON. @throws Error when it does not fit the schema */
export async function billOfMaterials(subject: BillSubject): Promise<string> {
  const { version, commit, date, bun, sha256 } = subject;
  const keel = component(Enums.ComponentType.Application, "keel", version, "keel");
  keel.hashes.set(Enums.HashAlgorithm["SHA-256"], sha256);
  if (commit !== null) keel.properties.add(new Models.Property("keel:commit", commit));
  const bom = new Models.Bom();
  bom.metadata.component = keel;
  if (date !== null) bom.metadata.timestamp = new Date(date);
  const runtime = component(Enums.ComponentType.Platform, "bun", bun, "bun", BUN_HOMEPAGE);
  runtime.licenses.add(new Models.SpdxLicense(BUN_LICENSE));
  bom.components.add(runtime);
  keel.dependencies.add(runtime.bomRef);
  for (const { name, license, homepage } of LINKED_IN_BUN) {
    const linked = component(Enums.ComponentType.Library, name, undefined, `bun/${name}`, homepage);
    if (license !== null) linked.licenses.add(new Models.LicenseExpression(license));
    bom.components.add(linked);
    runtime.dependencies.add(linked.bomRef);
  }
  for (const bundled of subject.packages) {
    const purl = `pkg:npm/${bundled.name.replace("@", "%40")}@${bundled.version}`;
    const library = component(
      Enums.ComponentType.Library,
      bundled.name,
      bundled.version,
      purl,
      bundled.homepage,
    );
    library.purl = purl;
    if (bundled.license !== null) library.licenses.add(new Models.LicenseExpression(bundled.license));
    if (bundled.sha512 !== null) library.hashes.set(Enums.HashAlgorithm["SHA-512"], bundled.sha512);
    bom.components.add(library);
    keel.dependencies.add(library.bomRef);
  }
  for (const file of subject.embedded) {
    const embedded = component(Enums.ComponentType.File, file.name, undefined, `file/${file.name}`);
    embedded.hashes.set(Enums.HashAlgorithm["SHA-256"], file.sha256);
    bom.components.add(embedded);
    keel.dependencies.add(embedded.bomRef);
  }
  const normalise = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  const text = new Serialize.JsonSerializer(normalise).serialize(bom, { sortLists: true, space: 2 });
  const wrong = await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(text);
  if (wrong !== null)
    throw new Error(`the bill of materials does not fit its schema: ${JSON.stringify(wrong)}`);
  return `${text}\n`;
}

function component(
  type: CycloneDX.Enums.ComponentType,
  name: string,
  version: string | undefined,
  bomRef: string,
  homepage: string | null = null,
): CycloneDX.Models.Component {
  const made = new Models.Component(type, name, { bomRef, ...(version === undefined ? {} : { version }) });
  if (homepage !== null) {
    made.externalReferences.add(new Models.ExternalReference(homepage, Enums.ExternalReferenceType.Website));
  }
  return made;
}
