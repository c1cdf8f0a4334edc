// Every trouble of a server whose volume somebody has, and a reboot of the host.
import { whenPossible } from "../support/needs.ts";
import { reboot } from "./survive-reboot.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";
import { goThrough, troubles } from "./survive-troubles.ts";

const limitMs = 180_000;

for (const driver of drivers) {
  for (const trouble of troubles) {
    const needs = [...requirementsOf[driver], ...(trouble.needs ?? [])];
    const name = `${driver}: its server is ${trouble.name}`;
    whenPossible(needs, name, () => goThrough(driver, trouble), limitMs);
  }
  for (const isServerThere of [true, false]) {
    const name = `${driver}: a boot, the server ${isServerThere ? "there" : "late"}`;
    whenPossible(requirementsOf[driver], name, () => reboot(driver, { isServerThere }), limitMs);
  }
}
