// What a label may be, in Docker's words.

/** A label's key is not empty and has no white space: what is wrong with one, or undefined. */
export function checkLabel(value: string): string | undefined {
  const key = (value.split("=")[0] ?? "").replace(/^[ \t]+/, "");
  if (key === "") return `invalid label '${value}': empty name`;
  return /[ \t]/.test(key) ? `label '${key}' contains whitespaces` : undefined;
}
