"""A seeded spot and perpetual market, built day by day from stylised facts.

`profile` holds the numbers, `draws` the randomness, `volatility` and `path` one price per second, `arrivals` when things happen inside a second,
`book` the quotes and trades of one instrument, `derivatives` mark, funding, open interest and liquidations, `day` one day of all of it,
`figures` what can be measured of a market, generated or recorded.

Any float that comes from a transcendental function is rounded to a whole number before it is used, and everything that accumulates is an integer,
so that neither the CPU's vector unit nor its maths library shows in the bytes.
"""
