// The bytes of a response, for the streaming forms of WebAssembly's functions, which take no response that the engine would refuse.
// What is done with the bytes is intercept.ts.

interface ResponseLike {
  readonly ok?: boolean;
  readonly status?: number;
  readonly headers?: { get(name: string): string | null };
  readonly bodyUsed?: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
}

const MIME_TYPE = /^application\/wasm$/i;

/**
 * @throws TypeError: no response, one that failed or was read before, or one of another type than `application/wasm`. Glue then
 * takes the bytes by itself.
 * @see https://webassembly.github.io/spec/web-api/, "compile a potential WebAssembly response"
 */
export async function bytesOfResponse(given: unknown): Promise<ArrayBuffer> {
  const response = (await given) as ResponseLike | null | undefined;
  if (typeof response?.arrayBuffer !== "function") throw new TypeError("WebAssembly: a Response is needed");
  const type = response.headers?.get("Content-Type");
  if (type !== undefined && !MIME_TYPE.test(type?.trim() ?? ""))
    throw new TypeError(`WebAssembly response has unsupported MIME type '${type ?? ""}'`);
  if (response.ok === false) throw new TypeError(`WebAssembly response has status code ${response.status}`);
  if (response.bodyUsed === true) throw new TypeError("WebAssembly response body has already been used");
  return response.arrayBuffer();
}
