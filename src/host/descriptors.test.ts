// How many descriptors the process may have, as the shell that started it allows.
import { expect, test } from "bun:test";
import { runToEnd } from "../../test/support/child.ts";
import { descriptorCountMax } from "./descriptors.ts";

test("it is the limit that the process was started with", async () => {
  expect(descriptorCountMax()).toBeGreaterThan(0);
  const module = `${import.meta.dir}/descriptors.ts`;
  const said = "(it) => console.log(it.descriptorCountMax())";
  const words = `import(${JSON.stringify(module)}).then(${said})`;
  const limited = ["-c", 'ulimit -n 99 && exec "$0" -e "$1"', process.execPath, words];
  const { stdout } = await runToEnd("sh", limited, { timeoutMs: 20_000 });
  expect(stdout.trim()).toBe("99");
});
