/** Goes on when every application's frame has loaded, or when one has taken too long; without JavaScript the page does. */
const link = document.querySelector('#continue')

let gone = false
const go = () => {
  if (gone || !link) return
  gone = true
  globalThis.location.replace(link.href)
}

// The page has loaded when its frames have.
if (document.readyState === 'complete') go()
else globalThis.addEventListener('load', go)
setTimeout(go, Number(link?.dataset.wait) * 1000)
