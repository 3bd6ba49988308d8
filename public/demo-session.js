/** Session Management 3.1: asks the provider's frame every two seconds, and shows what it answers. */
const frame = document.querySelector('#op-frame')
const status = document.querySelector('#session-status')
const { origin } = new URL(frame.src)

addEventListener('message', (event) => {
  if (event.origin !== origin || event.source !== frame.contentWindow) return
  status.dataset.status = event.data
  status.textContent = event.data
  status.className = `tag ${event.data === 'unchanged' ? 'good' : 'bad'}`
})

const ask = () => frame.contentWindow.postMessage(`${frame.dataset.client} ${frame.dataset.state}`, origin)
frame.addEventListener('load', ask)
setInterval(ask, 2000)
