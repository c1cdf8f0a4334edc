// A child process of a crash test: replaces one secret again and again, and says what is durable.
//
// Arguments: the data root, the file of the key, the number to begin with.
import { writeSync } from "node:fs";
import { silentLog } from "../../src/core/operation.ts";
import { SecretValue } from "../../src/core/secret-store.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { openSecrets } from "../../src/secrets/disk-secrets.ts";
import { testOperation } from "./operation.ts";

/** Long, so that half of it could be there. */
export function numberedValue(number: number): string {
  return `${number} `.repeat(6_000);
}

if (import.meta.main) {
  const [root = "", keyPath = "", first = "0"] = process.argv.slice(2);
  const store = openSecrets({ root, keyPath, host: linuxHost(), log: silentLog });
  for (let number = Number(first); ; number++) {
    const value = new SecretValue(new TextEncoder().encode(numberedValue(number)));
    await store.put("nas", value, { mayReplace: true }, testOperation());
    // Not buffered: what the parent has read was on disk before.
    writeSync(1, `${number}\n`);
  }
}
