// What makes a page legible, measured in it.

/** In the page: the width, the smallest text, and the least contrast of a text (WCAG 2.2, 1.4.3). */
export function legibility() {
  const linear = (byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const parsed = (colour) => colour.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parsed(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    if (walker.currentNode.data.trim() === '' || box.height === 0 || element.closest('title, desc')) continue;
    const svg = element.closest('svg');
    const style = getComputedStyle(element);
    const [light, dark] = [luminance(parsed(svg ? style.fill : style.color)), luminance(behind(element))].sort((a, b) => b - a);
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    texts.push({ contrast: (light + 0.05) / (dark + 0.05), px: parseFloat(style.fontSize) * scale });
  }
  return {
    scrollWidth: document.documentElement.scrollWidth,
    innerWidth,
    leastContrast: Math.min(...texts.map((text) => text.contrast)),
    smallestText: Math.min(...texts.map((text) => text.px)),
  };
}
