// openapi.json: Holdfast's own routes, from their contract.
import packageFile from "../../package.json" with { type: "json" };
import { openApiDocument } from "../../src/api/holdfast/open-api.ts";

export async function renderOpenApi(): Promise<string> {
  return `${JSON.stringify(openApiDocument(packageFile.version), undefined, 2)}\n`;
}
