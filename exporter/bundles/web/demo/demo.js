// SPDX-License-Identifier: Apache-2.0
import { keptSize } from '../src/preprocess.js';
import { settings } from '../src/settings.js';
import { SUBJECT, answered, load } from './shown.js';

const find = (id) => document.getElementById(id);
const [stage, photo, video, frame, file, camera] = ['stage', 'photo', 'video', 'frame', 'file', 'camera'].map(find);

let model;
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

function showScores(rows) {
  const items = rows.map(({ label, score }) => {
    const share = `${(100 * score).toFixed(1)} %`;
    const name = element('span', { className: 'label', textContent: label, title: label });
    const bar = element('div', {});
    bar.style.width = share.replace(' ', '');
    const track = element('div', { className: 'track' }, bar);
    track.setAttribute('aria-hidden', 'true'); // the number beside it says it all
    return element('li', {}, name, element('span', { className: 'share', textContent: share }), track);
  });
  find('scores').replaceChildren(...items);
}

function showTimes(times) {
  const rows = Object.entries(times).map(([name, ms]) => {
    const told = element('dd', { textContent: `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` });
    return element('div', {}, element('dt', { textContent: name }), told);
  });
  find('times').replaceChildren(...rows);
}

/** Where a box of a picture of this size, in its pixels, lies on the stage. */
function place(target, { left, top, right, bottom }, { width, height }) {
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  Object.assign(target.style, {
    left: `${(stage.clientWidth - width * scale) / 2 + left * scale}px`,
    top: `${(stage.clientHeight - height * scale) / 2 + top * scale}px`,
    width: `${(right - left) * scale}px`,
    height: `${(bottom - top) * scale}px`,
  });
}

/** The picture, with what the network sees of it as a bright window. */
function showPicture(shown) {
  const size = sizeOf(shown);
  const kept = keptSize(size, settings.preprocess);
  const [left, top] = [Math.floor((size.width - kept.width) / 2), Math.floor((size.height - kept.height) / 2)];
  place(frame, { left, top, right: left + kept.width, bottom: top + kept.height }, size);
  for (const each of [photo, video]) each.hidden = each !== shown;
  frame.hidden = kept.width === size.width && kept.height === size.height;
  find('invitation').hidden = true;
  stage.classList.add('shows');
}

function sizeOf(shown) {
  const isVideo = shown === video;
  return { width: isVideo ? video.videoWidth : photo.naturalWidth, height: isVideo ? video.videoHeight : photo.naturalHeight };
}

/** The boxes of objects, with their names. */
function showBoxes(rows, size) {
  const boxes = rows.filter((row) => 'left' in row).map((row) => {
    const box = element('div', { className: 'box' }, element('span', { textContent: row.label }));
    place(box, row, size);
    return box;
  });
  find('boxes').replaceChildren(...boxes);
}

let answer = []; // what is shown, to be shown again in another size

function showAgain() {
  const shown = [photo, video].find((each) => !each.hidden);
  if (shown === undefined) return;
  showPicture(shown);
  showBoxes(answer, sizeOf(shown));
}

async function look(source, shown) {
  latest += 1;
  const own = latest;
  const start = performance.now();
  const rows = await answered(model, source);
  const took = performance.now() - start;
  if (own !== latest) return;
  answer = rows;
  showScores(rows);
  showBoxes(rows, sizeOf(shown));
  showTimes({ 'this image': took, 'first load': loadedMs });
  say(rows.length > 0 ? '' : 'Nothing was found.');
}

async function usePhoto(blob) {
  if (model === undefined || !blob) return;
  stopCamera();
  const before = photo.src;
  photo.src = URL.createObjectURL(blob);
  if (before) URL.revokeObjectURL(before);
  try {
    await photo.decode();
    showBoxes([], sizeOf(photo));
    showPicture(photo);
    say('Looking …');
    await look(blob, photo);
  } catch (error) {
    say(`This is no photo that the browser can read: ${error.message}`, { isWrong: true });
  }
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  camera.textContent = 'Camera';
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
    camera.textContent = 'Stop';
    showPicture(video);
    await watch(stream);
  } catch (error) {
    stopCamera();
    const reason = navigator.mediaDevices ? error.message : 'browsers give it to https pages and to 127.0.0.1 alone';
    say(`There is no camera for this page: ${reason}`, { isWrong: true });
  }
}

/** Look at frame after frame, as fast as it goes, while the camera is on. */
async function watch(own) {
  while (stream === own) {
    await look(video, video);
    await new Promise(requestAnimationFrame);
  }
}

function listen() {
  file.addEventListener('change', () => usePhoto(file.files[0]));
  camera.addEventListener('click', useCamera);
  addEventListener('resize', showAgain);
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
  model = await load();
  loadedMs = performance.now() - began;
  find('about').textContent = `${SUBJECT}, ${model.labels.length} classes, ${width} × ${height} pixels. Photos stay on this device.`;
  for (const each of [file, camera]) each.disabled = false;
  say(`Ready after ${Math.round(loadedMs)} ms.`);
}

start().catch((error) => say(error.message, { isWrong: true }));
