"""nothing -> the class of every character, the same for ever.

A hash that is stored must mean the same lexeme next year, so the classes are those of Unicode 14.0 (Python 3.11),
written down below, and not those of the Python that happens to run: a letter that a newer Unicode adds stands alone.

SPACE: white space, and the mark that some editors put in front of a file (U+FEFF). LETTER: categories L, M and N, and
the underscore. HAN: characters of Chinese and Japanese, which stand alone because nothing separates their words. DIGIT:
0 to 9. ALONE: all others.
"""

from __future__ import annotations

import base64
import functools
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACE, LETTER, ALONE, HAN, DIGIT = range(5)

HAN_BLOCKS = (
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x3035),  # kana repeat marks
    (0x3038, 0x303C),
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # kana supplements
    (0x20000, 0x323AF),  # Han, extensions B to H
)

SIZE = 0x32400  # code points; no letter is assigned above, so all of those stand alone

_RUNS = (  # zlib, base 85; each run of equal classes is 5 * length + class, 7 bits per byte, the lowest first
    "c-"
    "m!EO>9(E6wWzs<{rYk$a{u&1Md;vTg)WRs56*5(dlAl(JtD>bkUl$iLhW(7Q|#+w2QK+g#j%FQd5vANok>2Y!refG$<&PDiDZ42&jN*Ahn?^1R"
    "{+{Afo3^!D!4&?(ezhp8K8ed@sAAX+`sE$qFbz70AUmLp&>zHVM}zhdOBpXx>$YCO;`iw4aZWEj<#E;7vgtwAZ39;xr@ZBuEimfb<OTy3L<R_k"
    "r?uKt7m9^_N8{scEegt>Y*kSxx<@gcNcP)@%or54tJL&Lh1WH%4q~%Q7W622W;q?4^aW$(IEgN{&K06siRabCJz!KF=LjBssKXOPxa*4sT)KXO"
    "9j!QZ#!~XA?Yr=H2WW?@rQD3wDW|O`+?M$8YCHxVG!K1?8I+ew=8kZ>X<f(jtw2k5OX3lKrL=<WZ`&r;XQz-"
    "N@#1n(W%CUgX9PTI5;^d9>Q?<{*VkxI%?|St`=fZrG1OiS%hO*Zb7XZKw3P4W*XeD2OgQ>fkAVO49_W4qDA!R*c|0M(<hjB!eFac@=2W626-"
    "e<n{t^a{&ICmuMKdyNJ@scDOCAhb<YpdzQ<#cm;xo=;o8<Y`LzZXri`@V-`nfOC9NUhw{-0D|r=y8<=BW6jUL14y0c<4XOfB{y1<hzd{-"
    "SnU8dXNDsjuu*q_Dd!~3gR@{wg?LGjRVGq)2b?93N?k(e#GIc_kT6h=pO}>w{+&h%u{D-"
    "POFr(LZz~Uf&2jZ=^41;`BzYz~WyI>Y+w)LZh(;nre7x>KO{rK6+L)d4PFD|db@XL=DMVYL42GDLyiso)+!+*bha0kSI^~;h`h^yz{SryVsxl)"
    "~=fC2r<a=qL>xDRiPf*ynvmAF3*r78K%Mx4UR5i#}3C7c5}wb<Pb>p0z-CS%7TBR9w7DGX{U-C$_%hPf?RWC(TC?FwQ<CZIR~?ip;#M-1yu%r-"
    "LKo$g)S;K&x~=R(FOtVPR#G)A{g5$b5-"
    "h*j)V4`A1MtSn0u{h&bg<Ug&xJ+Y5r@VPaoQ1;__D5#d!mMQe<qqvN>YOeOE0(E0J1a8f@bUudymp|8@O(ofQ5N^kcGf*7HcKc{dY>RVv51^UT"
    "%WSIx;}KL%*eXT-6{rdmjoDM@AkA;fQ>j*8Py0)_Q)bJ#)P|5Q17&_jQ^nK31tw&t<b<Dubml(r-"
    "N6CFq?@=KRfl}c7J(@$=98mz7eliTMj81kD8IEIb7k2FK?S-"
    "J1J+&q5PPwq7n5_4){{2dUN#rleHMpw47Nh~3bS)vXLc6r_zj1c01Z7!9WmFm^3oHmUfJuYJcdxHj=I%!3?gwBYZb$<(8+NObmaY8JV+byFv1W"
    "dxQ_iV;}6+Jd4q5RS^e~+=tr693J<~=bVZ$>gkenT53mnpNflILgvRl)wbv@9SVU6nvC0w4Oi|y&6bqwS+6rG`TBPUs{F=Kswm3s9ubJk78vJE"
    "yyoV-|X>d)_Gie=#+#h2%6!J~7bA&|m`fE^0^u`Xx+JB%Y>uy=izox3gFsnu`;jl_FP&(RXaZ@#w%-"
    "r*eEQGW^SbN_;V)e%!qT;aIrjS`xXE$BD2kFDBu0UqXG**^=y>!=`gR!9A%_OyJ&m9F0yK~U<-"
    "7uY!i9zsg#htC9V>s3`7XQSeSu|p81f2>DY=X`hAxiOJJIj;duA88-"
    "C9;Ql%zx*9O^P|OY1vLxk0C9Z#M?fV23{J1xkU+TleL_Dx@ZPmt{x@MGO^nCWACd*nwiveon*`R@Fyz$`wQbnjJ+qwXqLX?{XPR3|Btw4J)<KL"
    ">q<>eoTuy0J~Q*kxHNW}+E|->YWq>u|Mr&N`{Mkp8nFHbr4V(+"
)


@functools.cache
def character_classes() -> NDArray[np.uint8]:
    """
    Return the class of every code point below 0x32400, shape (205824,).

    >>> [int(character_classes()[ord(c)]) for c in " a+\u4e2d7"]
    [0, 1, 2, 3, 4]
    """
    lengths, kinds = [], []
    value = shift = 0
    for byte in zlib.decompress(base64.b85decode("".join(_RUNS))):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            lengths.append(value // 5)
            kinds.append(value % 5)
            value = shift = 0
    return np.repeat(np.array(kinds, np.uint8), lengths)
