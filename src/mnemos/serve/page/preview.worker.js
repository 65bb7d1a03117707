// Parses the response of a preview; see preview.js.
const SHOWN = 50;

onmessage = (event) => {
  const { cubes, offers } = JSON.parse(new TextDecoder().decode(event.data));
  postMessage({ count: cubes.length, ids: cubes.map((cube) => cube.id), first: cubes.slice(0, SHOWN), offers });
};
