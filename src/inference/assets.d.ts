declare module "*.wasm" {
  /** Path of the file, on disk or inside the executable. */
  const path: string;
  export default path;
}

declare module "*.onnx" {
  /** Path of the file, on disk or inside the executable. */
  const path: string;
  export default path;
}
