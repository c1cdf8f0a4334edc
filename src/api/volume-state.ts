// The word for what a volume is doing, the same on every face.

/** `isMissing`: its data was not there when it was last looked for. */
export function volumeState(
  holderCount: number,
  isMissing: boolean,
): "in use" | "data missing" | "idle" {
  if (holderCount > 0) return "in use";
  return isMissing ? "data missing" : "idle";
}
