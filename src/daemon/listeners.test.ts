// The sockets of systemd go where their names say.
import { expect, test } from "bun:test";
import { splitListeners } from "./listeners.ts";

test("a socket named plugin is the volume driver's, all others are the API's", () => {
  const inherited = ["api", "plugin", "unknown", "holdfast.socket"].map((name, index) => ({
    descriptor: 3 + index,
    name,
  }));
  expect(splitListeners(inherited)).toEqual({ api: [3, 5, 6], plugin: [4] });
  expect(splitListeners([])).toEqual({ api: [], plugin: [] });
});
