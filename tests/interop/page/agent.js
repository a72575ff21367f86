// A browser application around the unmodified QuickBlox SDK, driven from Python: `agent` is what a user could click.
// Python provides `tell(event)`, which hears everything that the SDK's listeners hear.
'use strict';

const agent = (() => {
  const FPS = 15;
  const SIZE = { width: 320, height: 240 };
  const FFT = 16384;
  const POLL = 100;
  const sessions = new Map();
  const screens = new Map();
  const ears = new Map();
  const outfits = new Map();
  let sound = null;
  let latest = null;

  const session = (id) => sessions.get(id || latest);

  function keep(one) {
    sessions.set(one.ID, one);
    latest = one.ID;
    return one;
  }

  function report(kind, one, user, rest) {
    const id = one && typeof one === 'object' ? one.ID : one;
    tell({ kind, session: id || '', user: user || 0, info: null, detail: '', at: performance.now(), ...rest });
  }

  // -- what the SDK tells ---------------------------------------------------------------------------------------------

  function listen() {
    const W = QB.webrtc;
    W.onCallListener = (one, info) => {
      keep(one);
      report('call', one, one.initiatorID, { info, detail: String(one.callType) });
    };
    W.onAcceptCallListener = (one, user, info) => report('accept', one, user, { info });
    W.onRejectCallListener = (one, user, info) => report('reject', one, user, { info });
    W.onStopCallListener = (one, user, info) => report('stop', one, user, { info });
    W.onUpdateCallListener = (one, user, info) => report('update', one, user, { info });
    W.onInvalidEventsListener = (name, one, user, info) => report('invalid', one, user, { info, detail: name });
    W.onUserNotAnswerListener = (one, user) => report('no_answer', one, user);
    W.onRemoteStreamListener = (one, user, stream) => {
      show(user, stream);
      report('stream', one, user, { detail: stream ? stream.getTracks().map((t) => t.kind).sort().join(' ') : '' });
    };
    W.onSessionConnectionStateChangedListener = (one, user, state) => report('state', one, user, { detail: name(state) });
    W.onReconnectListener = (one, user, state) => report('reconnect', one, user, { detail: state });
    W.onSessionCloseListener = (one) => report('close', one);
    W.onCallStatsReport = (one, user, stats, error) => report('stats', one, user, { info: stats, detail: String(error || '') });
    QB.chat.onDisconnectedListener = () => report('offline');
    QB.chat.onReconnectListener = () => report('online');
  }

  function name(state) {
    const all = QB.webrtc.SessionConnectionState;
    return (Object.keys(all).find((key) => all[key] === state) || String(state)).toLowerCase();
  }

  // -- what the user does ---------------------------------------------------------------------------------------------

  function connect(user, password, config) {
    QB.init(77, 'key', 'secret', 'account', config);
    listen();
    return new Promise((done, fail) => {
      QB.chat.connect({ userId: user, password }, (error) => (error ? fail(new Error(JSON.stringify(error))) : done()));
    });
  }

  function capture(one) {
    const video = one.callType === QB.webrtc.CallType.VIDEO ? { ...SIZE } : false;
    return new Promise((done, fail) => {
      one.getUserMedia({ audio: true, video }, (error, stream) => (error ? fail(error) : done(stream)));
    });
  }

  async function call(users, video, info, options) {
    const type = video ? QB.webrtc.CallType.VIDEO : QB.webrtc.CallType.AUDIO;
    const one = keep(QB.webrtc.createNewSession(users, type, null, options || {}));
    await capture(one);
    one.call(info);
    return one.ID;
  }

  async function accept(info, id) {
    const one = session(id);
    await capture(one);
    one.accept(info);
  }

  function leave() {
    const State = { NEW: 1, ACTIVE: 2 };
    for (const one of Object.values(QB.webrtc.sessions)) {
      if (one.state === State.NEW || one.state === State.ACTIVE) one.stop({});
    }
  }

  // -- what the user sees and hears -----------------------------------------------------------------------------------

  function show(user, stream) {
    if (!stream) return;
    let screen = screens.get(user);
    if (!screen) {
      screen = document.createElement('video');
      screen.autoplay = true;
      screen.playsInline = true;
      document.documentElement.append(screen);
      screens.set(user, screen);
    }
    screen.srcObject = stream;
    screen.play().catch(() => {});
    if (stream.getAudioTracks().length) hear(user, stream);
  }

  function hear(user, stream) {
    const ear = context().createAnalyser();
    ear.fftSize = FFT;
    ear.smoothingTimeConstant = 0;
    const source = context().createMediaStreamSource(stream);
    source.connect(ear);
    ears.set(user, { ear, source });
  }

  function context() {
    sound = sound || new AudioContext({ sampleRate: 48000 });
    sound.resume();
    return sound;
  }

  function pitch(user) {
    const found = ears.get(user);
    if (!found) return 0;
    const bins = new Float32Array(found.ear.frequencyBinCount);
    found.ear.getFloatFrequencyData(bins);
    let best = 1;
    for (let i = 2; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
    return bins[best] < -60 ? 0 : (best * sound.sampleRate) / FFT;
  }

  function picture(user) {
    const screen = screens.get(user);
    if (!screen || !screen.videoWidth) return '';
    const paper = document.createElement('canvas');
    paper.width = screen.videoWidth;
    paper.height = screen.videoHeight;
    paper.getContext('2d').drawImage(screen, 0, 0);
    return paper.toDataURL('image/png');
  }

  async function seen(user, id) {
    const all = { width: 0, height: 0, frames: 0, packets: 0, sent_frames: 0, sent_packets: 0, codec: '' };
    const peer = session(id) && session(id).peerConnections[user];
    if (!peer) return all;
    const stats = await peer._pc.getStats();
    stats.forEach((one) => {
      if (one.type === 'inbound-rtp' && one.kind === 'video') {
        all.frames = one.framesDecoded || 0;
        all.width = one.frameWidth || 0;
        all.height = one.frameHeight || 0;
        all.codec = one.codecId && stats.get(one.codecId) ? stats.get(one.codecId).mimeType : '';
      }
      if (one.type === 'inbound-rtp' && one.kind === 'audio') all.packets = one.packetsReceived || 0;
      if (one.type === 'outbound-rtp' && one.kind === 'video') all.sent_frames = one.framesEncoded || 0;
      if (one.type === 'outbound-rtp' && one.kind === 'audio') all.sent_packets = one.packetsSent || 0;
    });
    return all;
  }

  async function traffic(user, id) {
    const all = { at: 0, received: 0, sent: 0 };
    const stats = await session(id).peerConnections[user]._pc.getStats();
    stats.forEach((one) => {
      if (one.kind !== 'video') return;
      if (one.type === 'inbound-rtp') Object.assign(all, { at: one.timestamp, received: one.bytesReceived });
      if (one.type === 'outbound-rtp') all.sent = one.bytesSent;
    });
    return all;
  }

  async function until(condition, words, patience) {
    const end = performance.now() + patience;
    while (!(await condition(...words))) {
      if (performance.now() > end) return false;
      await new Promise((done) => setTimeout(done, POLL));
    }
    return true;
  }

  // -- what the user shows and says, instead of a camera and a microphone ---------------------------------------------

  async function wear(urls, hertz, device) {
    const cards = await Promise.all(urls.map(async (url) => {
      const card = new Image();
      card.src = url;
      await card.decode();
      return card;
    }));
    const paper = document.createElement('canvas');
    Object.assign(paper, { width: cards[0].naturalWidth, height: cards[0].naturalHeight });
    const pen = paper.getContext('2d');
    let next = 0;
    setInterval(() => pen.drawImage(cards[next++ % cards.length], 0, 0), 1000 / FPS);
    const voice = context().createOscillator();
    const level = context().createGain();
    voice.frequency.value = hertz;
    level.gain.value = 0.25;
    voice.connect(level);
    voice.start();
    outfits.set(device || '', { paper, level });
    navigator.mediaDevices.getUserMedia = async (wanted) => dressed(wanted);
  }

  function dressed(wanted) {
    const { paper, level } = outfits.get((wanted.video && wanted.video.deviceId) || '');
    const tracks = [];
    if (wanted.audio) {
      const mouth = context().createMediaStreamDestination();
      level.connect(mouth);
      tracks.push(...mouth.stream.getAudioTracks());
    }
    if (wanted.video) tracks.push(...paper.captureStream(FPS).getVideoTracks());
    return new MediaStream(tracks);
  }

  const change = (device, id) => new Promise((done, fail) => {
    session(id).switchMediaTracks({ video: device }, (error) => (error ? fail(error) : done()));
  });

  // The SDK has no screen share of its own: applications hand it a stream with the present microphone and the screen.
  async function share(device, id) {
    const one = session(id);
    const microphone = one.localStream.clone().getAudioTracks();
    const [screen] = dressed({ video: { deviceId: device } }).getVideoTracks();
    screen.contentHint = 'detail'; // as a screen has it: rather slow than small
    const stream = new MediaStream([...microphone, screen]);
    await one._replaceTracks(stream);
    one.localStream = stream;
  }

  return {
    connect,
    call,
    accept,
    leave,
    picture,
    pitch,
    seen,
    traffic,
    until,
    wear,
    change,
    share,
    session,
    reject: (info, id) => session(id).reject(info),
    stop: (info, id) => session(id).stop(info),
    update: (extension, id, user) => session(id).update(extension, user),
    mute: (kind, id) => session(id).mute(kind),
    unmute: (kind, id) => session(id).unmute(kind),
    offline: () => QB.chat.disconnect(),
  };
})();
