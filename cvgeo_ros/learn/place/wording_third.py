"""A third wording of training captions: in passing, in jargon, or by what a thing looks like.

Bars part the choices; names are written "one / several", or "one" alone where an s makes it several.
"""

from cvgeo_ros.learn.place.phrases import Choices, Names, Wording


def _names(text: str) -> Names:
    pairs = (part.partition(" / ") for part in text.split(" | "))
    return tuple((one, several or f"{one}s") for one, _, several in pairs)


def _either(text: str) -> Choices:
    return tuple(text.split(" | "))


THIRD = Wording(
    nouns={
        "stadium": _names(
            "sports bowl | track-and-field stadium | oval ring of grandstands / oval rings of grandstands | "
            "egg-shaped stadium | stadium with banked seating / stadiums with banked seating | "
            "big sports venue with an oval track / big sports venues with oval tracks"
        ),
        "round pond": _names(
            "round ornamental pond | circular pool | round water feature | disc-shaped pond | "
            "perfect circle of water / perfect circles of water | circular reflecting pool | "
            "park pond as round as a coin / park ponds as round as coins"
        ),
        "plaza": _names(
            "circular plaza around a monument / circular plazas around monuments | circular piazza | "
            "round civic square | paved roundel with a memorial / paved roundels with memorials | "
            "round open square with a memorial / round open squares with memorials | "
            "disc of paving with something tall in the middle / discs of paving with something tall in the middle"
        ),
        "helipad": _names(
            "heliport | helicopter pad | chopper pad | helicopter landing spot | landing circle | "
            "touchdown pad for helicopters / touchdown pads for helicopters | "
            "round landing pad bearing an H / round landing pads bearing an H"
        ),
        "baths": _names(
            "lido | outdoor public pool | swimming facility / swimming facilities | "
            "open-air pool for lap swimming / open-air pools for lap swimming | "
            "outdoor pool complex / outdoor pool complexes | public swimming pool | "
            "bathing place with a long blue pool / bathing places with long blue pools"
        ),
        "solar farm": _names(
            "PV array | solar array | photovoltaic field | "
            "field full of solar panels / fields full of solar panels | ground-mounted solar installation | "
            "meadow lined with blue-black panels / meadows lined with blue-black panels"
        ),
        "container yard": _names(
            "container storage yard | shipping depot | "
            "storage area for sea containers / storage areas for sea containers | "
            "pile of multicoloured metal boxes / piles of multicoloured metal boxes | cargo container park | "
            "lot piled with cargo boxes / lots piled with cargo boxes"
        ),
        "tank": _names(
            "gasometer | round industrial tank | drum-shaped tank | storage cylinder | big metal drum | "
            "liquid storage tank"
        ),
        "church": _names(
            "spired church / spired churches | steepled church / steepled churches | "
            "place of worship with a spire / places of worship with spires | "
            "church with a tall thin spire / churches with tall thin spires | "
            "old church and its tower / old churches and their towers | house of worship / houses of worship"
        ),
        "domed hall": _names(
            "dome-topped building | building capped by a dome / buildings capped by domes | "
            "domed place of worship / domed places of worship | temple-like domed building | "
            "square block with a round dome on it / square blocks with round domes on them | domed landmark"
        ),
        "round tower": _names(
            "drum-shaped tower | silo tower | tube-like tower | "
            "tower with a circular footprint / towers with circular footprints | lone round tower"
        ),
        "tower block": _names(
            "residential tower | point block | condo tower | council tower block | "
            "high block of flats / high blocks of flats | towering apartment building | "
            "big tall block of flats / big tall blocks of flats"
        ),
        "river": _names(
            "ribbon of water / ribbons of water | brook | meandering river | band of water / bands of water | "
            "water channel | long strip of flowing water / long strips of flowing water"
        ),
        "railway": _names(
            "train line | rail line | set of train tracks / sets of train tracks | "
            "pair of rails on gravel / pairs of rails on gravel | "
            "stretch of train track / stretches of train track"
        ),
        "bridge": _names(
            "river bridge | road deck over water / road decks over water | "
            "span across the water / spans across the water | "
            "bridge carrying a street / bridges carrying streets | bridged crossing"
        ),
        "roundabout": _names(
            "rotary / rotaries | ring junction | circular road junction | "
            "ring of road around an island / rings of road around islands"
        ),
        "pond": _names(
            "duck pond | fish pond | patch of open water / patches of open water | water hole | "
            "blob of water / blobs of water | natural-looking pond | "
            "pond with an uneven shore / ponds with uneven shores"
        ),
        "pitch": _names(
            "soccer pitch / soccer pitches | football ground | grass sports field | kickabout field | "
            "green rectangle with white markings / green rectangles with white markings | "
            "striped green playing surface"
        ),
        "track": _names(
            "athletics oval | running track | red tartan track | "
            "track and field facility / track and field facilities | "
            "red loop round a football pitch / red loops round football pitches | "
            "oval of red lanes around grass / ovals of red lanes around grass"
        ),
        "court": _names(
            "hard court | games court | multi-sport court | outdoor ball court | line-marked court | "
            "marked-out play area | tennis or basketball court"
        ),
        "greenhouse": _names(
            "polytunnel | growing tunnel | commercial greenhouse | glass-roofed growing shed | crop tunnel | "
            "nursery under glass / nurseries under glass"
        ),
        "hall": _names(
            "industrial unit | industrial building | big-box building | production hall | storehouse | "
            "distribution centre | plant building | metal-clad shed"
        ),
        "parking": _names(
            "surface car park | parking ground | asphalt car park | "
            "tarmac area with parking bays / tarmac areas with parking bays | "
            "expanse of parking spaces / expanses of parking spaces | "
            "place to leave the car / places to leave the car"
        ),
        "pool": _names(
            "home swimming pool | dipping pool | turquoise pool | "
            "blue rectangle of water / blue rectangles of water | pool behind a house / pools behind houses"
        ),
        "apartments": _names(
            "slab block | multi-family building | condo block | long bar of flats / long bars of flats | "
            "elongated residential building"
        ),
        "barn": _names("outbuilding | cattle shed | cowshed | barn-like shed | farmyard building"),
        "house": _names(
            "single-family home | standalone house | freestanding home | residence | "
            "house on its own plot / houses on their own plots"
        ),
        "building": _names(
            "rowhouse | terrace house | attached house | narrow-fronted house | "
            "slim house in a row / slim houses in a row | skinny building"
        ),
    },
    roofed=_names(
        "{noun} roofed in {colour} / {noun} roofed in {colour} | "
        "{noun} under its {colour} roof / {noun} under their {colour} roofs | "
        "{noun} ({colour} roof) / {noun} ({colour} roofs)"
    ),
    domed=_names(
        "{noun} ({colour} dome) / {noun} ({colour} domes) | {noun} topped in {colour} / {noun} topped in {colour}"
    ),
    seated=_names(
        "{noun} ({colour} seats) / {noun} ({colour} seats) | {colour}-seated {noun} / {colour}-seated {noun}"
    ),
    surfaced=_names("{noun} that is {colour} / {noun} that are {colour}"),
    settings={
        "suburb": _either(
            "leafy suburbia | a neighbourhood of single-family homes | houses, each in its own yard | "
            "a low-rise residential district where every home has its garden | the suburbs | "
            "tidy streets of separate homes and lawns"
        ),
        "village": _either(
            "a farming village | a rural community of homes and barns | "
            "a country place of scattered houses and farmyards | a cluster of farms and cottages | "
            "a little farming settlement | rural homesteads"
        ),
        "packed": _either(
            "a cramped old neighbourhood | rowhouses crammed in side by side | "
            "a low-rise city area with hardly a gap between the houses | "
            "a patchwork of tin and flat roofs packed tight | a tightly knit low-rise quarter | "
            "wall-to-wall houses"
        ),
        "blocks": _either(
            "an old town centre | terraces with tiled roofs wrapped around courtyards | "
            "a traditional city centre of enclosed blocks | dense blocks with hidden yards | "
            "historic housing blocks under clay tiles | the downtown of an old European city"
        ),
        "slabs": _either(
            "an estate of flats | long blocks of flats with green space between them | "
            "a post-war housing scheme | a residential complex of parallel apartment buildings | "
            "apartment blocks in rows | flats set among lawns, one long building after another"
        ),
        "industry": _either(
            "an industrial park | a factory area | big sheds and loading yards | "
            "a manufacturing and warehousing district | a trading estate | a zone of plants and storage buildings"
        ),
        "open": _either(
            "undeveloped land | the middle of nowhere | wide open ground | a sparsely built landscape | "
            "land with next to nothing on it | land on the outskirts where building stops"
        ),
        "mixed": _either(
            "a jumble of different buildings | a bit of town with everything in it | "
            "an urban area where building types vary | a neighbourhood of big and small buildings alike | "
            "an ordinary piece of town | a built-up place of no single character"
        ),
    },
    openings={
        "satellite": _either(
            "Overhead imagery of {setting} | Satellite photo, {setting} | Looking straight down on {setting} | "
            "{setting} as seen from space | What we have here from above is {setting} | "
            "A nadir view taken over {setting}"
        ),
        "drone": _either(
            "Drone picture of {setting} | Up in the air over {setting} | "
            "{setting} from a drone's point of view | The drone camera has captured {setting} | "
            "A UAV image depicting {setting} | Shot from low altitude, {setting}"
        ),
        "ground": _either(
            "Street photo, {setting} | Down at pavement level in {setting} | On foot through {setting} | "
            "{setting} as a pedestrian sees it | A roadside view within {setting}"
        ),
    },
    tells={
        "satellite": _either(
            "What stands out: {things} | On the ground, {things} can be identified | "
            "Within the frame you come across {things}"
        ),
        "drone": _either(
            "You can spot {things} | Down there: {things} | What catches the eye: {things} | "
            "Captured in the shot, {things} | From up here we get a look at {things} | "
            "Clearly recognisable in this shot, {things}"
        ),
        "ground": _either(
            "You can spot {things} | Within sight: {things} | From the kerb you get to see {things} | "
            "Somebody here would be looking at {things} | Also in the picture, {things}"
        ),
    },
    joined=_either(
        "{setting}, complete with {things} | {setting}, plus {things} | {setting}, and in it {things} | "
        "{setting}, notable for {things} | {setting}, home to {things}"
    ),
    near=_either(
        "{first} {is} a stone's throw from {second} | close by {second} {lies} {first} | "
        "{first}, just by {second} | {first} {is} only a short way off from {second} | "
        "{first} and, close at hand, {second} | {first} can be found in the vicinity of {second}"
    ),
    between=_either(
        "{first} with {second} on one side and {third} on the other | "
        "{first} {is} flanked by {second} and {third} | {second}, then {first}, then {third} | "
        "halfway from {second} to {third} you come to {first} | "
        "sandwiched between {second} and {third}, {first}"
    ),
    towards=_either(
        "{first} can be found {direction} {second} | {direction} {second} you get {first} | "
        "{first}, {direction} {second} | {first} {is} placed {direction} {second} | "
        "{direction} {second}: {first} | you will see {first} {direction} {second}"
    ),
    zoned=_either(
        "{first} can be made out {zone} of the image | {zone}, {first} | look {zone} for {first} | "
        "{first} {is} shown {zone} of the image | placed {zone} of the image {is} {first} | "
        "there {is} {first}, {zone}"
    ),
    roofs=_either(
        "Mainly {first} roofs | The rooftops are {first} for the most part | "
        "Looking at the roofs, you notice a lot of {first} | A typical house here is roofed in {first} | "
        "{first} is the usual roof colour"
    ),
    two_roofs=_either(
        "A mix of {first} and {second} roofs | Some of the rooftops are {first}, others {second} | "
        "{first} and {second} are the usual roof colours | "
        "Seen together, the roofs make a pattern of {first} and {second} | "
        "Plenty of {first} roofs, with {second} ones in between"
    ),
    cover={
        "woodland": _either("Heavily wooded | Trees nearly everywhere | Treetops hide the ground | Forest, mostly"),
        "many trees": _either(
            "Nice and leafy | Well supplied with trees | Tree crowns are dotted all over the place | "
            "Trees wherever there is room for one | A generous amount of foliage"
        ),
        "some trees": _either(
            "The odd tree | Not that many trees | A modest number of trees is spread about | Lightly planted with trees"
        ),
        "wall ahead": _either(
            "A building is right in the way | You look straight at a wall | Dead ahead, a big frontage | Facing a wall"
        ),
        "both sides": _either(
            "Built up left and right | Hemmed in by buildings on either hand | Facades on both sides | "
            "Walls of houses to the left as well as the right | You walk between two lines of houses"
        ),
        "one side": _either(
            "Buildings to just one side | Across from the houses, nothing is built | A one-sided street | "
            "It is built on along a single edge of the road | Houses here, open space over there"
        ),
        "wide view": _either(
            "Nothing much blocks the view | Plenty of sky | Open to the horizon, or nearly so | You can see for miles"
        ),
        "no trees": _either(
            "Treeless, more or less | You would look for a tree in vain | Next to no greenery | Not a tree to speak of"
        ),
        "crop_green": _either(
            "Fields in green | Something green is being grown here | Green cropland makes up part of it | "
            "Farm plots with young green plants | Fresh green crops, planted in fields"
        ),
        "crop_dry": _either(
            "Fields the colour of straw | Ripe, yellowish cropland | The grain is ready for harvest | "
            "Golden wheat or the like | Pale stubble and ripe crops on the farmland"
        ),
        "crop_brown": _either("Bare brown fields | Ploughland | Plots ready for sowing | Brown tilled soil in patches"),
        "green grass": _either(
            "Lots of grass, nice and green | Mostly lawn or meadow | Lush turf occupies a fair part of it | "
            "Grassy all over | The ground is carpeted with fresh grass"
        ),
        "dry grass": _either(
            "Parched grass | The grass has gone yellow | Lawns and meadows look brownish and tired | "
            "Straw-like grass, short of rain | What grass there is has dried out"
        ),
        "scrub": _either("Scrubland in part | Weedy, bushy ground | Low bushes have taken over | Rough brushland"),
        "bare soil": _either(
            "Bare dirt in places | Sandy or earthy bits without plants | Exposed soil here and there | "
            "Some of it is plain dirt | Earth lies uncovered in spots"
        ),
        "paved yards": _either("Concrete all round | Hardstanding and gravel | Big grey yards | Lots of cement"),
        "paving": _either(
            "Paving slabs all around | A lot of the open space is paved over | Hard paving in abundance | "
            "The buildings stand on paving | Stone underfoot, not grass"
        ),
    },
    counts={
        "none": _either(
            "Nothing built here | Practically no houses | The place is as good as unbuilt | No settlement to be seen"
        ),
        "few": _either(
            "Hardly more than a few houses | A few scattered buildings | You can count the houses on one hand | "
            "Not many buildings | The buildings number two to six or so"
        ),
        "ten": _either(
            "Ten or so houses | The number of buildings is close to ten | Maybe ten buildings in all | "
            "A small group of buildings, perhaps ten | Maybe 10 rooftops"
        ),
        "twenty": _either("Twenty or so houses | Maybe twenty buildings in all | A score of houses | 20-odd roofs"),
        "dozens": _either(
            "Houses by the dozen | Several dozen buildings in all | I count some dozens of houses | "
            "There must be thirty buildings or more | Between thirty and sixty rooftops"
        ),
        "hundred": _either(
            "More houses than you care to count | Roughly a hundred rooftops | House after house after house | "
            "Too many buildings to count | The houses number sixty at the least"
        ),
    },
    vehicles={
        "none": _either("No traffic | Nobody has parked here | Cars are absent from the scene | Neither cars nor vans"),
        "few": _either(
            "Hardly any cars | The odd car | Next to no traffic, just a car or two | Three or four vehicles at most"
        ),
        "some": _either("Quite a few cars | Cars here and there | A sprinkling of cars | A car every so often"),
        "many": _either(
            "Loads of cars | Cars all over the place | Crowded with cars | You would have trouble counting the cars"
        ),
    },
    car=_either(
        "{colour} car up front | Right in front you have a car in {colour} | "
        "A car, {colour}, can be seen nearby | Somebody has left their {colour} car here"
    ),
    roads={
        "wide": _either(
            "a big road | a spacious thoroughfare | a boulevard | an arterial road with several lanes | a main drag"
        ),
        "medium": _either("an average-sized road | a regular two-way road | a local street"),
        "narrow": _either("a tight little street | a single-track road | a narrow way for cars | a back lane"),
    },
    bends=_either("{road} in a gentle arc | {road} with a curve in it | {road} swinging round | {road} in a bow"),
    passes=_either(
        "Through it runs {road} | {road}, too | Access is by {road} | "
        "You can follow {road} through the picture | The main way through is {road}"
    ),
    runs=_either(
        "{road}, {run} | {run} you can trace {road} | {road} makes its way {run} | Leading {run}, {road} | "
        "A driver could follow {road} {run} | {road} stretches {run} across the view"
    ),
    dense_streets=_either(
        "Streets in every direction | A web of streets covers the ground | Plenty of crossroads | "
        "The street pattern is a close-knit one | One street after another"
    ),
    facades=_either(
        "{storeys}-floor {noun} in {wall} | {wall} {noun} with {storeys} floors | "
        "{wall}-fronted {noun} on {storeys} levels | {noun} ({storeys} storeys, {wall}) | "
        "{noun} with its {wall} front and {storeys} rows of windows"
    ),
    plain=_either("{noun} with its {wall} front | {noun} in {wall} | {noun} with {wall} sides"),
    low=_either(
        "{noun} with just a ground floor and {wall} walls | {noun} on a single level in {wall} | "
        "{wall} {noun} without any upper floor | squat {wall} {noun}"
    ),
    high=_either(
        "{noun} with floor upon floor of {wall} facade | lofty {wall} {noun} | "
        "{noun} that goes up and up with {wall} walls | many-floored {wall} {noun}"
    ),
    roof_of=_either("plus its {colour} roof | beneath its {colour} roof | and {colour} roofing | roofed in {colour}"),
    stands=_either(
        "{zone}, {facade} | {facade} can be seen {zone} | Look {zone} and there is {facade} | "
        "You have {facade} {zone} | {facade} takes its place {zone}"
    ),
    close=_either(
        "First thing you notice: {facade} | {facade} dominates the shot | "
        "The building you see best is {facade} | Up close, {facade} | What mostly fills the frame is {facade}"
    ),
    sizes={"small": _either("smallish | compact | tiny"), "large": _either("great big")},
)
