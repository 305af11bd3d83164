// Pieces of HTML that the report's sections share.

/** Wide tables scroll on their own; the focus makes that possible by keyboard. */
export function table(head: string[], rows: string[], label: string, kind = ""): string {
  const ofKind = kind === "" ? "" : ` class="${kind}"`;
  return `<div class="scroll" tabindex="0" role="region" aria-label="${html(label)}"><table${ofKind}>
<thead><tr>${head.join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`;
}

export function html(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
