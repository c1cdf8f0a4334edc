// What befalls a server while somebody has its volume.
import { sideBySide } from "../support/needs.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";
import { goThrough, troubles } from "./survive-troubles.ts";

for (const driver of drivers) {
  for (const trouble of troubles) {
    const needs = [...requirementsOf[driver], ...(trouble.needs ?? [])];
    sideBySide(needs, `${driver}: ${trouble.name}`, () => goThrough(driver, trouble));
  }
}
