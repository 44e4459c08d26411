// Items by variants as a table of buttons. Every text arrives as data and is set as text, never as markup.
const cell = (name, text, css) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (css) made.className = css;
  return made;
};

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["Item", ...data.variants, "Input"]) {
    const made = cell("th");
    for (const part of name.split(/(?<=[-+=./_ ])/)) made.append(part, document.createElement("wbr"));
    made.scope = "col";
    head.append(made);
  }
  const body = table.createTBody();
  for (const row of data.rows) {
    const line = body.insertRow();
    line.append(cell("td", row.id, "id"));
    row.cells.forEach(([text, tone, strength], place) => {
      const button = cell("button", text, `bo-${tone}`);
      button.style.setProperty("--s", `${strength}%`);
      button.type = "button";
      button.setAttribute("aria-label", `${row.id}, ${data.variants[place]}: ${text}`);
      button.setAttribute("aria-pressed", String(row.item === data.item && place === data.place));
      button.onclick = () => setTriggerValue("cell", [row.item, place]);
      const holder = cell("td");
      holder.append(button);
      line.append(holder);
    });
    line.append(cell("td", row.text, "text"));
  }
  const box = parentElement.querySelector(".bo-matrix");
  const left = box.scrollLeft;
  box.replaceChildren(table);
  box.scrollLeft = left;
}
