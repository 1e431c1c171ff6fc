/** Something linked into the executable that is no package of the registry. */
export interface LinkedComponent {
  readonly name: string;
  /** SPDX expression; null where several apply, which the component's own source tells. */
  readonly license: string | null;
  readonly homepage: string;
}

/** What Bun links statically on Linux, by https://bun.com/docs/project/license. */
export const LINKED_IN_BUN: readonly LinkedComponent[] = [
  {
    name: "JavaScriptCore and WebKit's WebCore",
    license: "LGPL-2.0-only",
    homepage: "https://github.com/oven-sh/webkit",
  },
  { name: "BoringSSL", license: null, homepage: "https://boringssl.googlesource.com/boringssl" },
  { name: "brotli", license: "MIT", homepage: "https://github.com/google/brotli" },
  { name: "c-ares", license: "MIT", homepage: "https://github.com/c-ares/c-ares" },
  { name: "libarchive", license: null, homepage: "https://github.com/libarchive/libarchive" },
  { name: "libbase64", license: "BSD-2-Clause", homepage: "https://github.com/aklomp/base64" },
  { name: "libdeflate", license: "MIT", homepage: "https://github.com/ebiggers/libdeflate" },
  { name: "ICU", license: "Unicode-3.0", homepage: "https://github.com/unicode-org/icu" },
  { name: "lol-html", license: "BSD-3-Clause", homepage: "https://github.com/cloudflare/lol-html" },
  { name: "ls-hpack", license: "MIT", homepage: "https://github.com/litespeedtech/ls-hpack" },
  { name: "mimalloc", license: "MIT", homepage: "https://github.com/microsoft/mimalloc" },
  { name: "picohttpparser", license: "MIT", homepage: "https://github.com/h2o/picohttpparser" },
  { name: "simdutf", license: "Apache-2.0", homepage: "https://github.com/simdutf/simdutf" },
  { name: "TinyCC", license: "LGPL-2.1-or-later", homepage: "https://repo.or.cz/tinycc.git" },
  { name: "uSockets", license: "Apache-2.0", homepage: "https://github.com/uNetworking/uSockets" },
  { name: "uWebSockets", license: "Apache-2.0", homepage: "https://github.com/uNetworking/uWebSockets" },
  { name: "zlib (Cloudflare)", license: "Zlib", homepage: "https://github.com/cloudflare/zlib" },
  { name: "zstd", license: "BSD-3-Clause OR GPL-2.0-only", homepage: "https://github.com/facebook/zstd" },
];

export const BUN_HOMEPAGE = "https://github.com/oven-sh/bun";
export const BUN_LICENSE = "MIT";
