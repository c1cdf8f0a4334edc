// What a rule about the code has to say: where, and why it is a rule.

export interface Finding {
  readonly path: string;
  /** From 1; missing when it is about the file as a whole. */
  readonly line?: number | undefined;
  readonly message: string;
}

/** One line, in the form that editors turn into a link. */
export function describeFinding({ path, line, message }: Finding): string {
  return line === undefined ? `${path}: ${message}` : `${path}:${line}: ${message}`;
}
