// Takes passwords out of mount options and out of what programs say about them.

/** Words whose value nobody may read. `credentials=` and `secretfile=` name files: they stay. */
const secretWords = "pass(?:word2?|wd|phrase)?|secret|token";

/** A value ends at the next comma, unless it is quoted, as mount(8) has it. */
const inOptions = new RegExp(`(^|[,\\s])(${secretWords})=(?:"[^"]*"|[^,]*)`, "gi");

/** In prose a value also ends at white space. */
const inProse = new RegExp(`\\b(${secretWords})=(?:"[^"]*"|[^,\\s]*)`, "gi");

/** `//user:password@host` of a device that is an address. */
const inAddress = /(\/\/[^/:@\s]*):[^@/\s]+@/g;

/** Shorter values would blank half of a message; behind their word they are masked all the same. */
const BARE_SECRET_CHARACTERS_MIN = 4;

/** `password=hunter2,ro` becomes `password=****,ro`, as Docker has it. */
export function maskSecrets(options: string): string {
  return options.replace(inOptions, "$1$2=****").replace(inAddress, "$1:****@");
}

/** Masks what `maskSecrets` would in these options, wherever a program's text repeats it. */
export function maskSecretsOf(options: string, text: string): string {
  let masked = text;
  for (const [word] of options.matchAll(inOptions)) {
    const value = word.slice(word.indexOf("=") + 1).replace(/^"(.*)"$/, "$1");
    if (value.length >= BARE_SECRET_CHARACTERS_MIN) masked = masked.replaceAll(value, "****");
  }
  return masked.replace(inProse, "$1=****").replace(inAddress, "$1:****@");
}
