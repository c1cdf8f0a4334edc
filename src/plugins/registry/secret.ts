// A password or a token: what cannot be printed by mistake.
import { inspect } from "node:util";

const shown = "[secret]";

/** Prints as `[secret]` whatever prints it: text, JSON, a debugger's view. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The only way to it; for the header that it goes into. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}

/** Shorter ones would blank half of a message. */
const MASKED_CHARACTERS_MIN = 4;

/**
 * A text of somebody else, without these secrets: as they are, as in an address, and in letters of
 * whichever case, because some texts are put into another one.
 */
export function withoutSecrets(text: string, secrets: readonly Secret[]): string {
  return secrets
    .map((secret) => secret.reveal())
    .filter((value) => value.length >= MASKED_CHARACTERS_MIN)
    .flatMap((value) => [value, encodeURIComponent(value.toWellFormed())])
    .reduce((all, value) => all.replaceAll(literally(value), "****"), text);
}

function literally(text: string): RegExp {
  return new RegExp(text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), "gi");
}
