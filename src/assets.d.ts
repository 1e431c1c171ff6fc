/** Files that are imported with `{ type: "file" }`: the import is a path that can be read, inside the executable too. */
declare module "*.wasm" {
  const path: string;
  export default path;
}
declare module "*.onnx" {
  const path: string;
  export default path;
}
declare module "*.so" {
  const path: string;
  export default path;
}

/** Shaders are imported with `{ type: "text" }`. */
declare module "*.wgsl" {
  const source: string;
  export default source;
}
