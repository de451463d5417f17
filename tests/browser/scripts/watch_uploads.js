// Counts, in window.most, how many uploads fly at once and how many rows the list has.
() => {
  window.most = { flying: 0, rows: 0 };
  const rows = document.querySelector("#rows");
  new MutationObserver(() => (most.rows = Math.max(most.rows, rows.children.length)))
    .observe(rows, { childList: true });
  let flying = 0;
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (body) {
    if (body instanceof FormData) {
      most.flying = Math.max(most.flying, ++flying);
      this.addEventListener("readystatechange", () => this.readyState === 4 && flying--);
    }
    return send.call(this, body);
  };
}
