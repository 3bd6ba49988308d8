/** Copies the text of an element; the button says so for a moment. */
const SHOWN_MS = 2000

for (const button of document.querySelectorAll('[data-copy]')) {
  if (!navigator.clipboard) break
  const label = button.textContent
  button.hidden = false
  button.setAttribute('aria-live', 'polite')
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText)
    button.textContent = button.dataset.done
    setTimeout(() => (button.textContent = label), SHOWN_MS)
  })
}
