// Pictures of a frame that change together.

// Those of some images that come in time. The rest is let go: a network that drops packets tells nobody, each load holds
// one of the few connections that a browser makes, and a tile that waits for one would show nothing newer.
export async function settled(images, ms) {
  const late = new Promise((done) => setTimeout(done, ms, false));
  const came = images.map((image) =>
    Promise.race([
      image.decode().then(
        () => true,
        () => false,
      ),
      late,
    ]),
  );
  const here = await Promise.all(came);
  images.forEach((image, place) => here[place] || image.removeAttribute("src"));
  return images.filter((_, place) => here[place]);
}
