// Passwords and tokens of registries: texts in the type that nothing prints.
import { SecretValue } from "../../core/secret-store.ts";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export function secretOf(text: string): SecretValue {
  return new SecretValue(new TextEncoder().encode(text));
}

/** The only way to it; for the header that it goes into. To the last character, unlike a file's. */
export function textOf(secret: SecretValue): string {
  return utf8.decode(secret.reveal());
}

/** Shorter ones would blank half of a message. */
const MASKED_CHARACTERS_MIN = 4;

/**
 * A text of somebody else, without these secrets: as they are, as in an address, and in letters of
 * whichever case, because some texts are put into another one.
 */
export function withoutSecrets(text: string, secrets: readonly SecretValue[]): string {
  return secrets
    .map(textOf)
    .filter((value) => value.length >= MASKED_CHARACTERS_MIN)
    .flatMap((value) => [value, encodeURIComponent(value)])
    .reduce((all, value) => all.replaceAll(literally(value), "****"), text);
}

function literally(text: string): RegExp {
  return new RegExp(text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), "gi");
}
