import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why no certificate can be made here; null when one can. */
export const whyNoCertificates: string | null =
  Bun.which("openssl") === null ? "no openssl to make certificates with" : null;

/** A self-signed certificate with its key, in files and as text. */
export interface TestCertificate {
  readonly certPath: string;
  readonly keyPath: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes certificates of two days' validity in a folder that {@link remove} takes away. */
export class CertificateFolder {
  readonly #folder = mkdtempSync(join(tmpdir(), "keel-certificates-"));

  /** @param host goes into the certificate as its name, for listeners */
  make(name: string, host = name): TestCertificate {
    return this.#made(name, ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${host}`]);
  }

  /** One for a listener of that name, which `authority` vouches for. */
  signed(host: string, authority: TestCertificate): TestCertificate {
    return this.#made(`${host}.signed`, [
      ...["-CA", authority.certPath, "-CAkey", authority.keyPath, "-subj", `/CN=${host} of a desk`],
      ...["-addext", `subjectAltName=DNS:${host}`, "-addext", "basicConstraints=critical,CA:FALSE"],
    ]);
  }

  /** @param about what openssl is told of the certificate */
  #made(file: string, about: readonly string[]): TestCertificate {
    const certPath = join(this.#folder, `${file}.cert.pem`);
    const keyPath = join(this.#folder, `${file}.key.pem`);
    const { exitCode, stderr } = Bun.spawnSync([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", keyPath, "-out", certPath, "-days", "2", ...about],
    ]);
    if (exitCode !== 0) throw new Error(`openssl: ${stderr.toString()}`);
    return {
      ...{ certPath, keyPath },
      cert: readFileSync(certPath, "utf8"),
      key: readFileSync(keyPath, "utf8"),
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
