// Files that say where a plugin listens: NAME.spec and NAME.json, in Docker's forms.
import { type PluginAddress, parsePluginAddress, type TlsFiles } from "../protocol/address.ts";
import { asObject, field, parseObject, textField } from "../protocol/fields.ts";

/** A longer file is none. */
export const SPEC_BYTES_MAX = 64 * 1024;

/** One line, a URL. Throws an `Error` that says what is wrong. */
export function parseSpec(text: string): PluginAddress {
  return parsePluginAddress(text.trim(), undefined);
}

/** `{"Addr": "https://…", "TLSConfig": {…}}`. Throws an `Error` that says what is wrong. */
export function parseJsonSpec(text: string): PluginAddress {
  const object = parseObject(text);
  const tls = field(object, "TLSConfig");
  return parsePluginAddress(textField(object, "Addr"), tls === undefined ? undefined : tlsIn(tls));
}

function tlsIn(value: unknown): TlsFiles {
  const object = asObject(value, "TLSConfig");
  const caFile = textField(object, "CAFile");
  // Docker's rule: nothing can be verified without an authority.
  const isSkipped = field(object, "InsecureSkipVerify") === true || caFile === "";
  return {
    isVerified: !isSkipped,
    caFile,
    certificateFile: textField(object, "CertFile"),
    keyFile: textField(object, "KeyFile"),
  };
}
