// Takes passwords out of mount options, of devices and of what programs say about them.
//
// Rather too much than too little: what is masked can be looked up with `inspect`. Every pattern
// takes time in proportion to the text, whatever the text is.

/** A word with its `=`, seen once from its first character. */
const word = /(?<![\w.-])([\w.-]+)=/g;

/** What makes the value of a word a secret. */
const secretWord = /pass|pwd|secret|token|key|credential|signature|^sig$/i;

/** Words that name files or rings of keys: a reader needs them to find the mistake. */
const placeWord = /(?:file|path|dir|keyring|credentials)$/i;

/** A value ends at the next comma, unless it is quoted, as mount(8) has it. */
const valueInOptions = /"[^"]*"|[^,]*/y;

/** In prose a value also ends at white space. */
const valueInProse = /"[^"]*"|[^,\s]*/y;

/** `username=user%password` of mount.cifs. */
const inUserName = /(?<![\w.-])(user(?:name)?=[^%,\s]*%)([^,\s]+)/gi;

/** `//user:password@host` of a device that is an address; the password may hold `/` or `@`. */
const inAddress = /(\/\/[^/:@\s]*:)(\S{0,512}|[^/\s]*)(?=@)/g;

/** `user:password@host:/folder`, as people write it for programs on top of ssh. */
const inLogin = /(?<![^\s,='"])([^/:@\s,='"]+:)([^/\s,]+)(?=@)/g;

const bare = [inUserName, inAddress, inLogin];

/** Shorter values would blank half of a message; behind their word they are masked all the same. */
const BARE_SECRET_CHARACTERS_MIN = 4;

/** `password=hunter2,ro` becomes `password=****,ro`, as Docker has it. Takes a device, too. */
export function maskSecrets(options: string): string {
  return mask(options, valueInOptions);
}

/** Masks what `maskSecrets` would in these texts, wherever a program's text repeats it. */
export function maskSecretsOf(given: readonly string[], text: string): string {
  const secrets = given.flatMap(secretsIn).sort((left, right) => right.length - left.length);
  let masked = text;
  for (const secret of secrets) masked = masked.replaceAll(secret, "****");
  return mask(masked, valueInProse);
}

function mask(text: string, value: RegExp): string {
  let masked = "";
  let end = 0;
  for (const { from, to } of secretValues(text, value)) {
    masked += `${text.slice(end, from)}****`;
    end = to;
  }
  masked += text.slice(end);
  return bare.reduce((all, pattern) => all.replace(pattern, "$1****"), masked);
}

/** Where the values of secret words stand, in order. */
function* secretValues(
  text: string,
  value: RegExp,
): Generator<{ readonly from: number; readonly to: number }> {
  let end = 0;
  for (const { 0: found, 1: name = "", index } of text.matchAll(word)) {
    if (index < end || !secretWord.test(name) || placeWord.test(name)) continue;
    const from = index + found.length;
    value.lastIndex = from;
    end = from + (value.exec(text)?.[0].length ?? 0);
    yield { from, to: end };
  }
}

/** The secrets themselves; of a query (`?password=a&b=c`) what stands before each `&`, too. */
function secretsIn(text: string): readonly string[] {
  const found: string[] = [];
  for (const { from, to } of secretValues(text, valueInOptions)) {
    const secret = text.slice(from, to).replace(/^"(.*)"$/, "$1");
    found.push(secret, ...secret.split("&"));
  }
  for (const pattern of bare) {
    for (const [, , secret = ""] of text.matchAll(pattern)) found.push(secret);
  }
  return found.filter((secret) => secret.length >= BARE_SECRET_CHARACTERS_MIN);
}
