// A pause between two looks at what nobody tells of.

/** Resolves after so many milliseconds. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
