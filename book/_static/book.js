// The theme's FontAwesome replaces icons by SVG whenever the page changes. The Play
// widget then looks for an icon that is gone, throws, and every later link between
// widgets is dead. So icons are replaced once, when the page has been read.
window.FontAwesomeConfig = { autoReplaceSvg: false, observeMutations: false };
document.addEventListener("DOMContentLoaded", () => {
  window.FontAwesome?.dom.i2svg();
});

// Widgets speak to MathJax 2, the page carries MathJax 3: translate their one call.
{
  const loaded = new Promise((resolve) => window.addEventListener("load", resolve));
  const Hub = {
    Queue: async ([, , element]) => {
      await loaded;
      await window.MathJax.startup.promise;
      return window.MathJax.typesetPromise([element]);
    },
  };
  let value;
  Object.defineProperty(window, "MathJax", {
    get: () => value,
    set: (next) => {
      value = Object.assign(next, { Hub });
    },
  });
}

// What the theme and the widgets lack for readers who listen, or have no mouse.
{
  const ICONS = { "fa-play": "Play", "fa-stop": "Stop", "fa-retweet": "Repeat" };
  const WIDE = "article :is(table, div.math, pre, .output)";

  const nameWidgets = () => {
    for (const handle of document.querySelectorAll(".noUi-handle:not([aria-label])")) {
      const label = handle.closest(".jupyter-widgets")?.querySelector(".widget-label");
      handle.setAttribute("aria-label", label?.textContent || "value");
    }
    // The value that is seen, not its place among the options.
    for (const readout of document.querySelectorAll(".widget-readout")) {
      const handle = readout.parentElement.querySelector(".noUi-handle");
      handle?.setAttribute("aria-valuetext", readout.textContent);
    }
    for (const icon of document.querySelectorAll(".jupyter-button:not([aria-label]) > i")) {
      const name = Object.keys(ICONS).find((key) => icon.classList.contains(key));
      if (name) icon.parentElement.setAttribute("aria-label", ICONS[name]);
    }
  };

  // What scrolls sideways can be reached, and scrolled, by key.
  const reachWideThings = () => {
    for (const box of document.querySelectorAll(WIDE)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    // These are named by their own text.
    for (const named of document.querySelectorAll(
      ".search-button-field, .theme-switch-button, summary",
    )) {
      named.removeAttribute("aria-label");
    }
    for (const fold of document.querySelectorAll("summary:has(.toctree-toggle)")) {
      fold.setAttribute("aria-label", "Pages below");
    }
    for (const list of document.querySelectorAll(".citation-list[role=list]")) {
      list.removeAttribute("role"); // its children are no list items
    }
    new MutationObserver(nameWidgets).observe(document.body, {
      childList: true,
      subtree: true,
    });
  });
  window.addEventListener("load", async () => {
    await window.MathJax?.startup.promise;
    reachWideThings();
    window.addEventListener("resize", reachWideThings);
  });
}
