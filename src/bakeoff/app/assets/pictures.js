// Two buttons beside a chart. Plotly is on the page already; its own camera does the work, in the format asked for.
export default function (component) {
  const { parentElement, data } = component;
  const host = parentElement.host ?? parentElement;
  for (const button of parentElement.querySelectorAll("button[data-format]")) {
    const format = button.dataset.format;
    button.setAttribute("aria-label", `Save as ${format.toUpperCase()}: ${data?.alt ?? "chart"}`);
    button.onclick = () => {
      const plot = host.closest('[class*="st-key-chart_"]')?.querySelector(".js-plotly-plot");
      const camera = plot?.querySelector('.modebar-btn[data-title^="Download plot"]');
      if (!plot?._context || !camera) return;
      plot._context.toImageButtonOptions = { ...plot._context.toImageButtonOptions, format };
      camera.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    };
  }
}
