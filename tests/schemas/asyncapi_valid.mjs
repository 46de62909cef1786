// Exits with 0 when the official parser finds nothing wrong with the AsyncAPI document that it is given, else says what.
import { readFileSync } from "node:fs";
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const text = readFileSync(process.argv[2], "utf-8");
const { document, diagnostics } = await new Parser().parse(text);
const faults = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
for (const { path, message, severity } of faults) {
  console.error(`${DiagnosticSeverity[severity]} at ${path.join(".")}: ${message}`);
}
if (document === undefined || faults.length > 0) process.exit(1);
console.log(`${document.channels().length} channels, ${document.messages().length} messages`);
