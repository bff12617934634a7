// What is wrong with a page for who reads it: on a small screen, by a screen reader, or with little contrast.

function parsed(color) {
  const numbers = color.match(/[\d.e-]+/g).map(Number);
  if (color.startsWith("color(")) return [...numbers.slice(0, 3).map((each) => each * 255), numbers[3] ?? 1];
  return [...numbers.slice(0, 3), numbers[3] ?? 1];
}

const over = ([red, green, blue, alpha], below) => [red, green, blue].map((each, index) => each * alpha + below[index] * (1 - alpha));

// WCAG's relative luminance.
const luminance = (rgb) => rgb.map((each) => each / 255)
  .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
  .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);

function behind(element) {
  const layers = [];
  for (let each = element; each; each = each.parentElement) {
    layers.unshift(parsed(getComputedStyle(each).backgroundColor));
  }
  return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
}

// Texts whose contrast is less than level AA asks for.
function faint() {
  const found = [];
  for (const each of document.querySelectorAll("body *")) {
    const hasText = [...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!hasText || each.closest("svg, option, .skip, .hidden, noscript") || !each.checkVisibility()) continue;
    const style = getComputedStyle(each);
    const back = behind(each);
    const [high, low] = [luminance(over(parsed(style.color), back)), luminance(back)].sort((one, other) => other - one);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < (isLarge ? 3 : 4.5)) {
      found.push(`contrast ${contrast.toFixed(2)}: ${each.tagName} ${each.className} ${each.textContent.slice(0, 40)}`);
    }
  }
  return found;
}

function odd() {
  const all = (css) => [...document.querySelectorAll(css)];
  const ids = all("[id]").map((each) => each.id);
  const width = document.documentElement.scrollWidth;
  return [
    ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `two of #${id}`),
    ...all("[aria-labelledby]").filter((each) => !ids.includes(each.getAttribute("aria-labelledby"))).map((each) => `no label: ${each.tagName}`),
    ...(all("h1").length === 1 ? [] : ["not one h1"]),
    ...all("[tabindex]").filter((each) => each.tabIndex > 0).map((each) => `another order: ${each.tagName}`),
    ...all("main img:not([alt]), main script, main style").map((each) => each.outerHTML),
    ...(width > innerWidth ? [`${width} pixels wide`] : []),
  ];
}

return arguments[0] === "faint" ? faint() : odd();
