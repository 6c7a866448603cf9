// SPDX-License-Identifier: Apache-2.0
import { Classifier } from '../src/index.js';
import { keptSize } from '../src/preprocess.js';
import { settings } from '../src/settings.js';

const SHOWN = 5;
const find = (id) => document.getElementById(id);
const [stage, photo, video, frame, file, camera] = ['stage', 'photo', 'video', 'frame', 'file', 'camera'].map(find);

let classifier;
let stream = null; // of the camera, while it is on
let loadedMs = 0;
let latest = 0; // the number of what was asked for last: what is answered later than that is not shown

function say(text, { isWrong = false } = {}) {
  find('status').textContent = text;
  find('status').classList.toggle('wrong', isWrong);
}

/** Text alone, whatever a label holds. */
function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function showScores(scores) {
  const rows = scores.slice(0, SHOWN).map(({ label, score }) => {
    const share = `${(100 * score).toFixed(1)} %`;
    const name = element('span', { className: 'label', textContent: label, title: label });
    const meter = element('meter', { min: 0, max: 1, value: score, textContent: share });
    meter.setAttribute('aria-label', label);
    return element('li', {}, name, element('span', { className: 'share', textContent: share }), meter);
  });
  find('scores').replaceChildren(...rows);
}

function showTimes(times) {
  const rows = Object.entries(times).map(([name, ms]) => {
    const told = element('dd', { textContent: `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` });
    return element('div', {}, element('dt', { textContent: name }), told);
  });
  find('times').replaceChildren(...rows);
}

/** The part of the picture that the network sees, as a bright window. */
function showFrame(shown, width, height) {
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  const kept = keptSize({ width, height }, settings.preprocess);
  const [across, down] = [kept.width * scale, kept.height * scale];
  Object.assign(frame.style, {
    width: `${across}px`,
    height: `${down}px`,
    left: `${(stage.clientWidth - across) / 2}px`,
    top: `${(stage.clientHeight - down) / 2}px`,
  });
  for (const each of [photo, video]) each.hidden = each !== shown;
  frame.hidden = false;
  find('invitation').hidden = true;
  stage.classList.add('shows');
}

function frameAgain() {
  if (!photo.hidden) showFrame(photo, photo.naturalWidth, photo.naturalHeight);
  else if (!video.hidden) showFrame(video, video.videoWidth, video.videoHeight);
}

async function classify(source) {
  latest += 1;
  const own = latest;
  const start = performance.now();
  const scores = await classifier.classify(source);
  const took = performance.now() - start;
  if (own !== latest) return;
  showScores(scores);
  showTimes({ 'this image': took, 'first load': loadedMs });
  say('');
}

async function usePhoto(blob) {
  if (classifier === undefined || !blob) return;
  stopCamera();
  const before = photo.src;
  photo.src = URL.createObjectURL(blob);
  if (before) URL.revokeObjectURL(before);
  try {
    await photo.decode();
    showFrame(photo, photo.naturalWidth, photo.naturalHeight);
    say('Looking …');
    await classify(blob);
  } catch (error) {
    say(`This is no photo that the browser can read: ${error.message}`, { isWrong: true });
  }
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  camera.textContent = 'Use the camera';
}

async function useCamera() {
  if (stream !== null) {
    stopCamera();
    return;
  }
  try {
    const wanted = { facingMode: 'environment', width: { ideal: 1280 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    video.srcObject = stream;
    await video.play();
    camera.textContent = 'Stop the camera';
    showFrame(video, video.videoWidth, video.videoHeight);
    await watch(stream);
  } catch (error) {
    stopCamera();
    const reason = navigator.mediaDevices ? error.message : 'browsers give it to https pages and to 127.0.0.1 alone';
    say(`There is no camera for this page: ${reason}`, { isWrong: true });
  }
}

/** Classify frame after frame, as fast as it goes, while the camera is on. */
async function watch(own) {
  while (stream === own) {
    await classify(video);
    await new Promise(requestAnimationFrame);
  }
}

function listen() {
  file.addEventListener('change', () => usePhoto(file.files[0]));
  camera.addEventListener('click', useCamera);
  addEventListener('resize', frameAgain);
  addEventListener('paste', (event) => usePhoto(event.clipboardData?.files[0]));
  addEventListener('dragover', (event) => {
    event.preventDefault();
    stage.classList.add('over');
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) stage.classList.remove('over');
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    stage.classList.remove('over');
    usePhoto(event.dataTransfer?.files[0]);
  });
}

async function start() {
  const { width, height } = settings.preprocess;
  document.title = settings.name;
  find('name').textContent = settings.name;
  listen();
  const began = performance.now();
  classifier = await Classifier.load();
  loadedMs = performance.now() - began;
  find('about').textContent = `${classifier.labels.length} classes, ${width} × ${height} pixels. Photos stay on this device.`;
  for (const each of [file, camera]) each.disabled = false;
  say(`Ready after ${Math.round(loadedMs)} ms.`);
}

start().catch((error) => say(error.message, { isWrong: true }));
