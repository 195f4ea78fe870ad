"""The depth behind the best price. A recording with depth gives its levels; beyond them, sizes are drawn once per price and stay there.

The size at a price depends on the price and the seed alone, so books of two moments differ only where the best price has moved.
"""

from collections.abc import Iterator

Level = tuple[int, int]
"""Price in ticks, size in lots."""

MAX_LEVELS = 1_000


class Ladder:
    """Sizes of levels: about `typical` lots, from a quarter to four times that, at every `stride`-th price."""

    def __init__(self, typical: int, seed: int, stride: int = 1) -> None:
        self.typical, self.stride = max(1, typical), max(1, stride)
        self._salt = seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFF
        self._sizes: dict[int, int] = {}

    def size(self, price: int) -> int:
        """Return the size that rests at a price behind the best one, 0 where nothing does."""
        if price % self.stride:
            return 0
        found = self._sizes.get(price)
        if found is None:
            mixed = (price ^ self._salt) * 0x45D9F3B & 0xFFFFFFFF
            mixed = (mixed >> 16 ^ mixed) * 0x45D9F3B & 0xFFFFFFFF
            quarters = 1 + (mixed >> 8) % 16
            found = self._sizes[price] = max(1, self.typical * quarters // 4 + (mixed & 0xFF) * self.typical // 1024)
        return found

    def behind(self, best: int, step: int, count: int) -> Iterator[Level]:
        """Yield levels behind `best` in the direction of `step` (-1 for bids, +1 for asks)."""
        stride = self.stride
        price = (best - 1) // stride * stride if step < 0 else (best // stride + 1) * stride
        for _ in range(count):
            if price <= 0:
                return
            yield price, self.size(price)
            price += step * stride
