// The theme's FontAwesome replaces icons by SVG whenever the page changes. The Play
// widget then looks for an icon that is gone, throws, and every later link between
// widgets is dead. So icons are replaced once, when the page has been read.
window.FontAwesomeConfig = { autoReplaceSvg: false, observeMutations: false };
document.addEventListener("DOMContentLoaded", () => {
  window.FontAwesome?.dom.i2svg();
});
