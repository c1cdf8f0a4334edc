// Reads what a registry asks for: the header `WWW-Authenticate` (RFC 9110, 11.6.1).
import { CHALLENGE_CHARACTERS_MAX } from "./limits.ts";

/** One way to log in. Names are lower-case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** A name, and its value where one follows: without one it begins the next challenge. */
const part = /[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/y;

/** In the order given; what cannot be read ends the list. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  const text = header.slice(0, CHALLENGE_CHARACTERS_MAX);
  part.lastIndex = 0;
  for (let found = part.exec(text); found !== null; found = part.exec(text)) {
    const [, name = "", quoted, bare] = found;
    const value = quoted?.replace(/\\(.)/g, "$1") ?? bare;
    if (value === undefined) {
      challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    } else {
      challenges.at(-1)?.parameters.set(name.toLowerCase(), value);
    }
  }
  return challenges;
}
