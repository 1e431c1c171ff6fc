import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Files of a certificate and its key, PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** An authority of the test's own, and what it vouches for. */
export interface Certificates {
  readonly ca: string;
  /** Of a server at 127.0.0.1. */
  readonly server: CertificateFiles;
  /** Of a server at another host. */
  readonly elsewhere: CertificateFiles;
  readonly client: CertificateFiles;
  /** Of a client, by an authority that nobody knows. */
  readonly stranger: CertificateFiles;
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes certificates with openssl. */
export function makeCertificates(folder: string): Certificates {
  const ca = authority(folder, "ca");
  const unknown = authority(folder, "unknown-ca");
  return {
    ca: ca.cert,
    server: signed(folder, "server", "IP:127.0.0.1,DNS:localhost", ca),
    elsewhere: signed(folder, "elsewhere", "DNS:elsewhere.test", ca),
    client: signed(folder, "client", "DNS:desk.test", ca),
    stranger: signed(folder, "stranger", "DNS:desk.test", unknown),
  };
}

function authority(folder: string, name: string): CertificateFiles {
  const files = filesOf(folder, name);
  openssl(
    "req",
    "-x509",
    ...KEY,
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    files.key,
    "-out",
    files.cert,
  );
  return files;
}

function signed(folder: string, name: string, names: string, ca: CertificateFiles): CertificateFiles {
  const files = filesOf(folder, name);
  const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
  writeFileSync(extensions, `subjectAltName=${names}\n`);
  openssl("req", ...KEY, "-subj", `/CN=${name}`, "-keyout", files.key, "-out", request);
  const by = ["-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-extfile", extensions];
  openssl("x509", "-req", "-days", "2", "-in", request, "-out", files.cert, ...by);
  return files;
}

function filesOf(folder: string, name: string): CertificateFiles {
  return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
}

function openssl(...args: readonly string[]): void {
  const made = Bun.spawnSync(["openssl", ...args], { stdout: "ignore", stderr: "pipe" });
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
}
